/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The sections of an event: strings, arguments, stamps, handles (see layout.h). */

static __always_inline void section(struct scratch *s, u32 at, u32 kind, u32 length) {
  at &= BUFFER - 1;
  *(u16 *)(s->buffer + at) = kind;
  *(u16 *)(s->buffer + at + 2) = length;
}
/* A string, NUL included; returns its length, or < 0 when it cannot be read. */
static __always_inline int add_string(struct scratch *s, u64 address, u32 kind, int kernel) {
  u32 at = s->used;
  if (at >= BUFFER) return -1;
  at &= BUFFER - 1;
  int n = kernel ? bpf_probe_read_kernel_str(s->buffer + at + 4, 4096, (void *)address)
                 : bpf_probe_read_user_str(s->buffer + at + 4, 4096, (void *)address);
  if (n < 0) {
    if (address) count_fault(s);
    section(s, at, kind, 0xffff);
    s->used = at + 4;
    return n;
  }
  section(s, at, kind, n);
  s->used = at + 4 + n;
  return n;
}
static __always_inline void add_user(struct scratch *s, u64 address, u32 length) {
  u32 at = s->used & (BUFFER - 1);
  BARRIER(length);
  length &= 0xfff;
  if (bpf_probe_read_user(s->buffer + at + 4, length, (void *)address)) { count_fault(s); return; }
  section(s, at, SECTION_OUT, length);
  s->used = at + 4 + length;
}
static __always_inline void add_args(struct scratch *s, u32 mask) {
  u32 at = s->used & (BUFFER - 1), n = 0;
#pragma unroll
  for (int i = 0; i < 6; i++)
    if (mask & (1 << i)) {
      u32 o = at + 4 + n;
      o &= BUFFER - 1;
      *(u64 *)(s->buffer + o) = s->arg[i];
      n += 8;
    }
  section(s, at, SECTION_ARGS, n);
  s->used = at + 4 + n;
}
/* One block read per object, then plain loads: each bpf_probe_read_kernel costs 50-80 ns. */
static __always_inline void read_stamp(struct scratch *s, struct stamp *t, u64 file) {
  u8 *b = s->block;
  u64 inode, super;
  bpf_probe_read_kernel(b, FILE_BLOCK, (void *)file);
  t->f_flags = FIELD(b, O_FILE_FLAGS, u32);
  t->f_mode = FIELD(b, O_FILE_MODE, u32);
  inode = FIELD(b, O_FILE_INODE, u64);
  bpf_probe_read_kernel(b, INODE_BLOCK, (void *)inode);
  t->ino = FIELD(b, O_INODE_INO, u64);
  t->size = FIELD(b, O_INODE_SIZE, u64);
  t->mtime_s = FIELD(b, O_INODE_MTIME_S, u64);
  t->mtime_n = FIELD(b, O_INODE_MTIME_N, u32);
  t->ctime_s = FIELD(b, O_INODE_CTIME_S, u64);
  t->ctime_n = FIELD(b, O_INODE_CTIME_N, u32) & 0x7fffffff;
  t->state = FIELD(b, O_INODE_CTIME_N, u32) >> 31 ? STAMP_QUERIED : 0;
  /* Less than 0: being executed. */
  if (FIELD(b, O_INODE_WRITERS, s32) > (t->f_mode & FMODE_WRITE ? 1 : 0)) t->state |= STAMP_WRITERS;
  t->mode = FIELD(b, O_INODE_MODE, u16);
  t->uid = FIELD(b, O_INODE_UID, u32);
  t->gid = FIELD(b, O_INODE_GID, u32);
  t->rdev = FIELD(b, O_INODE_RDEV, u32);
  t->nlink = FIELD(b, O_INODE_NLINK, u32);
  super = FIELD(b, O_INODE_SB, u64);
  bpf_probe_read_kernel(b, SUPER_BLOCK, (void *)super);
  t->dev = FIELD(b, O_SB_DEV, u32);
  t->magic = FIELD(b, O_SB_MAGIC, u64);
}
static __always_inline struct stamp *new_stamp(struct scratch *s, u32 kind) {
  u32 at = s->used;
  if (at >= BUFFER) return 0;
  at &= BUFFER - 1;
  section(s, at, kind, sizeof(struct stamp));
  s->used = at + 4 + sizeof(struct stamp);
  return (struct stamp *)(s->buffer + at + 4);
}
static __always_inline struct stamp *add_stamp(struct scratch *s, u64 file, u32 kind) {
  struct stamp *t = new_stamp(s, kind);
  if (t) read_stamp(s, t, file);
  return t;
}
/* /dev/null: what is written there is neither looked at nor kept. */
static __always_inline int is_null(struct stamp *t) {
  return t && (t->mode & 0170000) == 0020000 && t->rdev == (1 << 20 | 3);
}
/* struct stat and struct statx as x86-64 lays them out (uapi asm/stat.h, linux/stat.h). */
static __always_inline void add_stat(struct scratch *s, u64 address, int statx) {
  u8 *b = s->block;
  if (bpf_probe_read_user(b, statx ? 256 : 144, (void *)address)) count_fault(s);
  /* Fields that were not asked for may be zero: TYPE, MODE, MTIME, CTIME, INO and SIZE are needed. */
  if (statx && (FIELD(b, 0, u32) & 0x3c3) != 0x3c3) return;
  struct stamp *t = new_stamp(s, SECTION_STAT);
  if (!t) return;
  if (statx) {
    t->ino = FIELD(b, 32, u64); t->size = FIELD(b, 40, s64);
    t->mtime_s = FIELD(b, 112, s64); t->mtime_n = FIELD(b, 120, u32);
    t->ctime_s = FIELD(b, 96, s64); t->ctime_n = FIELD(b, 104, u32);
    t->mode = FIELD(b, 28, u16); t->nlink = FIELD(b, 16, u32);
    t->uid = FIELD(b, 20, u32); t->gid = FIELD(b, 24, u32);
    t->rdev = FIELD(b, 128, u32) << 20 | FIELD(b, 132, u32);
    t->dev = FIELD(b, 136, u32) << 20 | FIELD(b, 140, u32);
  } else {
    u64 dev = FIELD(b, 0, u64), rdev = FIELD(b, 40, u64);
    t->ino = FIELD(b, 8, u64); t->size = FIELD(b, 48, s64);
    t->mtime_s = FIELD(b, 88, s64); t->mtime_n = FIELD(b, 96, u32);
    t->ctime_s = FIELD(b, 104, s64); t->ctime_n = FIELD(b, 112, u32);
    t->mode = FIELD(b, 24, u32); t->nlink = FIELD(b, 16, u64);
    t->uid = FIELD(b, 28, u32); t->gid = FIELD(b, 32, u32);
    t->rdev = (rdev >> 8 & 0xfff) << 20 | (rdev & 0xff) | (rdev >> 12 & 0xfff00);
    t->dev = (dev >> 8 & 0xfff) << 20 | (dev & 0xff) | (dev >> 12 & 0xfff00);
  }
  t->f_flags = 0; t->f_mode = 0; t->magic = 0; t->state = 0;
}
static __always_inline void add_handle(struct scratch *s, u64 file, u32 kind) {
  u32 at = s->used & (BUFFER - 1);
  struct handle *h = (struct handle *)(s->buffer + at + 4);
  struct call *c = get_call(s->event.nr);
  u32 number = !c ? 0 : kind == SECTION_HANDLE2 ? c->fd2 : c->fd ? c->fd : c->dir;
  h->file = file;
  RD(h->pos, file + O_FILE_POS);
  h->fd = number ? s->arg[(number - 1) & 7] : ~0;
  h->pad = 0;
  section(s, at, kind, sizeof(*h));
  s->used = at + 4 + sizeof(*h);
}

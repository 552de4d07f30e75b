/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Open files and directories by their paths.  Walks are queued by the handlers and carried out by
 * tail_walk just before output. */

static __always_inline void queue_walk(struct scratch *s, u64 path, u32 kind) {
  u32 j = s->jobs;
  u64 pair[2]; /* struct path { mnt, dentry } */
  if (j > 3) return;
  j &= 3;
  RD(pair, path);
  s->queue[j].mnt = pair[0]; s->queue[j].dentry = pair[1]; s->queue[j].kind = kind;
  s->jobs = j + 1;
}
static __always_inline u64 fd_file(u64 task, u64 fd) {
  u64 p = 0, file = 0, table[2]; /* struct fdtable { max_fds, fd } */
  RD(p, task + O_TASK_FILES);
  if (!p) return 0;
  RD(p, p + O_FILES_FDT);
  RD(table, p + O_FDT_MAX);
  if ((u32)fd >= (u32)table[0]) return 0;
  RD(file, table[1] + 8 * (u64)(u32)fd);
  return file;
}
/* Where in p->inherited `file` is, or -1.  The result goes through the
 * map, so that the verifier does not follow INHERITED different values through the caller. */
static __always_inline int inherited(struct scratch *s, struct process *p, u64 file) {
  *(volatile int *)&s->found = -1;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < INHERITED; i++) {
    if (i >= p->known) break;
    if (p->inherited[i] == file) *(volatile int *)&s->found = i;
  }
  return *(volatile int *)&s->found;
}

static __always_inline void queue_cwd(struct scratch *s, u64 task, u32 kind) {
  u64 fs = 0;
  RD(fs, task + O_TASK_FS);
  queue_walk(s, fs + O_FS_PWD_MNT, kind);
}
static __always_inline void queue_base(struct scratch *s, u64 task, s64 dirfd, u32 kind) {
  if ((int)dirfd == AT_FDCWD) { queue_cwd(s, task, kind); return; }
  u64 f = fd_file(task, dirfd);
  struct process *p = get_process();
  if (!f || !p) return;
  queue_walk(s, f + O_FILE_PATH_MNT, kind);
  if (inherited(s, p, f) >= 0) s->event.flags |= FLAG_INHERITED;
}
static __always_inline void queue_file(struct scratch *s, u64 file, u32 kind) {
  queue_walk(s, file + O_FILE_PATH_MNT, kind);
}
/* The open file a call is about: which description, which version. */
static __always_inline struct stamp *add_open(struct scratch *s, u64 file, u32 stamp) {
  add_handle(s, file, SECTION_HANDLE);
  return add_stamp(s, file, stamp);
}
/* The same and its path. */
static __always_inline void add_file(struct scratch *s, u64 file, u32 stamp) {
  add_open(s, file, stamp);
  queue_file(s, file, SECTION_FILE);
}
#define FINISH(ctx, s)                       \
  do {                                       \
    if ((s)->jobs) tail(ctx, TAIL_WALK);     \
    output(s);                               \
    if ((s)->next) tail(ctx, (s)->next);     \
    return 0;                                \
  } while (0)

/* Appends the queued walks, leaf first, WALK_STEPS components per instance; then outputs. */
int tail_walk(struct bpf_raw_tracepoint_args *ctx) {
  struct scratch *s = get_scratch();
  if (!s) return 0;
  u64 task = bpf_get_current_task(), fs = 0, fs_root[2], dentry = 0, mnt = 0, root = 0;
  RD(fs, task + O_TASK_FS);
  RD(fs_root, fs + O_FS_ROOT_MNT);
  u32 j = s->job, end = 0;
  if (j > 3) return 0;
  j &= 3;
  u32 kind = s->queue[j].kind;
  if (s->used >= BUFFER - 8192) { s->event.flags |= FLAG_TRUNCATED; goto done; }
  if (!s->walk_dentry) {
    u64 pprev = 1, parent = 0;
    s->walk_dentry = s->queue[j].dentry;
    s->walk_mnt = s->queue[j].mnt - O_MOUNT_MNT;
    s->walk_section = s->used;
    s->used += 8;
    s->walk_flags = 0;
    RD(pprev, s->walk_dentry + O_DENTRY_PPREV);
    RD(parent, s->walk_dentry + O_DENTRY_PARENT);
    if (!pprev && parent != s->walk_dentry) s->walk_flags = WALK_DELETED; /* d_unhashed() */
    RD(s->walk_root, s->walk_mnt + O_MOUNT_MNT + O_VFSMOUNT_ROOT);
  }
  dentry = s->walk_dentry; mnt = s->walk_mnt; root = s->walk_root;
  /* Unrolled on purpose: kernel 6.1's verifier rejects a loop whose back edge is a fall-through
   * ("back-edge from insn"), which clang lays out at will; longer paths go on in a new instance. */
#pragma unroll
  for (int i = 0; i < WALK_STEPS; i++) {
    if (dentry == fs_root[1] && mnt + O_MOUNT_MNT == fs_root[0]) { end = WALK_ROOT; break; }
    if (dentry == root) {
      u64 parent = 0;
      RD(parent, mnt + O_MOUNT_PARENT);
      if (parent == mnt || !parent) { end = WALK_OUTSIDE; break; }
      RD(dentry, mnt + O_MOUNT_MOUNTPOINT);
      mnt = parent;
      RD(root, mnt + O_MOUNT_MNT + O_VFSMOUNT_ROOT);
    } else {
      u64 name[3]; /* d_parent, d_name.hash_len, d_name.name: adjacent, checked by offsets.py */
      RD(name, dentry + O_DENTRY_PARENT);
      /* Reloaded from the map, so that the verifier forgets its range and merges the paths. */
      u32 at = *(volatile u32 *)&s->used;
      if (at >= BUFFER) { end = WALK_TRUNCATED; break; }
      int n = bpf_probe_read_kernel_str(s->buffer + (at & (BUFFER - 1)), 256, (void *)name[2]);
      if (n <= 0) { end = WALK_FAULT; break; }
      *(volatile u32 *)&s->used = at + n;
      if (name[0] == dentry) { end = WALK_DETACHED; break; }
      dentry = name[0];
    }
  }
  if (!end) {
    s->walk_dentry = dentry; s->walk_mnt = mnt; s->walk_root = root;
    tail(ctx, TAIL_WALK);
    end = WALK_TRUNCATED;
    struct counters *c = get_counts();
    if (c) c->truncated_walks++;
  }
  {
    u32 at = s->walk_section & (BUFFER - 1);
    section(s, at, kind, s->used - s->walk_section - 4);
    *(u32 *)(s->buffer + at + 4) = end | s->walk_flags;
  }
done:
  s->walk_dentry = 0;
  s->job = j + 1;
  if (s->job < s->jobs) tail(ctx, TAIL_WALK);
  output(s);
  if (s->next) tail(ctx, s->next);
  return 0;
}

/* Recorder: what every process of one tree does to files, streams and its surroundings.
 *
 * Five raw tracepoints.  System calls are taken at sys_exit, where the arguments are still in
 * pt_regs and the user pages they point to are present; a successful execve at sched_process_exec.
 * Handlers are reached by tail calls from the table `calls`, so that the verifier meets each
 * expensive loop once.  No kernel header is used: kernel objects are u64 addresses, read with
 * bpf_probe_read_kernel at offsets that come from BTF as -DO_STRUCT_FIELD (observe/offsets.py).
 *
 * -D parameters: O_*, FILE_BLOCK, INODE_BLOCK, SUPER_BLOCK (bytes read of each).
 */
#include "layout.h"

#define RD(dst, addr) bpf_probe_read_kernel(&(dst), sizeof(dst), (void *)(addr))
/* Hides a value's origin from clang, which otherwise folds a range check on a sum into one the
 * verifier cannot follow ("R3 unbounded memory access"). */
#define BARRIER(x) asm volatile("" : "+r"(x))
#define FIELD(block, offset, type) (*(type *)((block) + (offset)))

#define BUFFER 16384
#define SLACK 4608
#define CHUNK 16384
#define CHUNKS 32       /* data chunks per program; then it tail-calls itself, at most 33 times */
#define PIECE 102400    /* a larger chunk, for as long as that much is left: 108 MB of one write(2),
                           which fit into the default ring even if nobody empties it meanwhile */
#define WALK_STEPS 16   /* path components per program */
#define SEEN 131072     /* digests of accesses that were told, a power of two */
#define INHERITED 32    /* open file descriptions whose identity is kept per image */
#define SCAN_FDS 256    /* descriptors reported at exec, 16 per program */
#define FMODE_WRITE 0x2
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define NO_WAKEUP 1     /* BPF_RB_NO_WAKEUP: user space polls; a wake-up costs 7-10 us per event */
#define TS_COMPAT 2     /* thread_info.status: in a 32-bit system call */
#define AT_FDCWD -100
/* In process.flags, beside FLAG_LOST: what was told of the image, and whether it has begun. */
#define PROCESS_FOREIGN 0x100
#define PROCESS_SHORTAGE 0x200
#define PROCESS_STARTED 0x400
#define PROCESS_STACK 0x800 /* it has asked for the limit of its stack: C libraries do at their start */
#define ARCH_SET_FS 0x1002

struct process {
  u64 image, flags;
  u64 writes;     /* calls so far that may have changed the content of an open file */
  u64 seen_reads; /* bit n: a read of inherited[n] was told */
  u64 handed;     /* bit n: the image was handed descriptor n */
  u32 known, pad; /* how many of `inherited` are in use */
  u64 inherited[INHERITED];
};
struct job {
  u64 mnt, dentry, kind;
};
struct scratch {
  u32 used;                        /* bytes of sections in `buffer` */
  u32 jobs, job;                   /* walks to append before output, and the current one */
  u32 next;                        /* program to run after output; 0: none */
  u32 walk_section, walk_flags;    /* continuation of a walk: where its section starts */
  u64 walk_mnt, walk_dentry, walk_root;
  u64 from, length, done;          /* continuation of a copy of user data */
  u64 vector, vectors, total;      /* continuation of a copy of an iovec array */
  u32 path_size;                   /* of the path that was read, NUL included */
  u32 fd;                          /* continuation of a scan of descriptors */
  int found;                       /* result of inherited() */
  u64 arg[8]; /* six are used; a power of two bounds the index */
  u8 block[1024];
  struct job queue[4];
  struct event event;              /* output starts here */
  u8 buffer[BUFFER + SLACK];
};
struct piece {
  struct event event;
  u8 data[PIECE];
};

struct counters {
  u64 events, lost, repeated, faults, failed_calls, truncated_walks, bytes;
};

BPF_PERCPU_ARRAY(scratches, struct scratch, 1);
BPF_PERCPU_ARRAY(counts, struct counters, 1);
BPF_HASH(processes, u32, struct process, 16384);
BPF_ARRAY(calls, struct call, 512);
BPF_PROG_ARRAY(programs, 32);
BPF_ARRAY(seen, u64, SEEN); /* a cache: each slot holds the last digest that fell there */
BPF_RINGBUF_OUTPUT(ring, 1); /* kept between sessions; created larger: observe/rings.py */
BPF_ARRAY_OF_MAPS(rings, "ring", 1);

/* BCC: map functions cannot be used inside a macro, so each access has a function. */
static __always_inline struct scratch *get_scratch(void) { u32 z = 0; return scratches.lookup(&z); }
static __always_inline struct counters *get_counts(void) { u32 z = 0; return counts.lookup(&z); }
static __always_inline void *get_ring(void) { u32 z = 0; return rings.lookup(&z); }
static __always_inline struct call *get_call(u32 nr) { return calls.lookup(&nr); }
static __always_inline struct process *get_process(void) {
  u32 tgid = bpf_get_current_pid_tgid() >> 32;
  return processes.lookup(&tgid);
}
/* Returns only when the call failed: after 33 in a row. What was to follow is lost. */
static __always_inline void tail(void *ctx, u32 slot) {
  programs.call(ctx, slot);
  struct counters *c = get_counts();
  if (c) c->failed_calls++;
  struct process *p = get_process();
  if (p) p->flags |= FLAG_LOST;
}
static __always_inline void count_fault(struct scratch *s) {
  struct counters *c = get_counts();
  if (c) c->faults++;
  s->event.flags |= FLAG_FAULT;
}

static __always_inline void count_lost(struct counters *c) {
  c->lost++;
  struct process *p = get_process();
  if (p) p->flags |= FLAG_LOST;
}
static __always_inline void output(struct scratch *s) {
  struct counters *c = get_counts();
  u64 n = s->used;
  BARRIER(n);
  void *ring = get_ring();
  if (!c || n > BUFFER + SLACK) return;
  if (!ring || bpf_ringbuf_output(ring, &s->event, sizeof(struct event) + n, NO_WAKEUP)) {
    count_lost(c);
  } else {
    c->events++;
    c->bytes += sizeof(struct event) + n + 8;
  }
}
/* PIECE bytes of user memory, which would not fit into the buffer. */
static __always_inline void output_piece(struct scratch *s, u64 from) {
  struct counters *c = get_counts();
  void *ring = get_ring();
  if (!c) return;
  if (!ring) { count_lost(c); return; }
  struct piece *piece = bpf_ringbuf_reserve(ring, sizeof(struct piece), 0);
  if (!piece) { count_lost(c); return; }
  if (bpf_probe_read_user(piece->data, PIECE, (void *)from)) count_fault(s);
  piece->event = s->event;
  bpf_ringbuf_submit(piece, NO_WAKEUP);
  c->events++;
  c->bytes += sizeof(struct piece) + 8;
}
static __always_inline void begin(struct scratch *s, struct process *p, u32 type, u32 nr, s64 ret) {
  u64 id = bpf_get_current_pid_tgid();
  s->used = 0; s->jobs = 0; s->job = 0; s->next = 0; s->walk_dentry = 0;
  s->event.ts = bpf_ktime_get_ns(); s->event.image = p->image; s->event.aux = 0; s->event.ret = ret;
  s->event.tgid = id >> 32; s->event.tid = id;
  s->event.err = ret < 0 && ret > -4096 ? -ret : 0;
  s->event.type = type; s->event.nr = nr; s->event.flags = p->flags & FLAG_LOST;
}

/* ---- sections ---- */
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

/* ---- walks: queued here, carried out by walk() just before output ---- */
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

/* ---- repeated accesses ---- */
static __always_inline u64 mix(u64 h, u64 v) {
  h ^= v;
  h *= 0x9e3779b97f4a7c15ULL;
  return h ^ (h >> 29);
}
/* Whether this image already told an access with the same sections, base and result.  Sections
 * longer than 512 bytes are always told. */
static __always_inline int repeated(struct scratch *s) {
  u64 h = mix(mix(s->event.image, s->queue[0].dentry), ((u64)s->event.tgid << 32) | ((u64)s->event.err << 16) | s->event.nr);
  u32 n = s->used, slot;
  if (s->jobs > 1) h = mix(h, s->queue[1].dentry);
  if (n > 512 || s->event.flags) return 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 64; i++) {
    if (i * 8 >= n) break;
    u64 v = *(u64 *)(s->buffer + i * 8);
    if (n - i * 8 < 8) v &= (1ULL << ((n - i * 8) * 8)) - 1;
    h = mix(h, v);
  }
  slot = h & (SEEN - 1);
  u64 *last = seen.lookup(&slot);
  if (!last) return 0;
  if (*last == h) {
    struct counters *c = get_counts();
    if (c) c->repeated++;
    return 1;
  }
  *last = h;
  return 0;
}

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

/* ---- system calls ---- */
#define NR_BRK 12
#define NR_CLOSE 3
#define NR_IOCTL 16
#define NR_FCNTL 72
#define TCGETS 0x5401
#define TCGETS2 0x802c542a
#define TIOCGWINSZ 0x5413
#define F_GETFL 3
#define F_SETFL 4
#define F_GETLK 5
#define F_SETLKW 7
#define F_OFD_GETLK 36
#define F_OFD_SETLKW 38
#define EBADF 9
#define EAGAIN 11
#define EACCES 13
#define NR_SENDTO 44
#define NR_SENDMSG 46
#define NR_EXECVE 59
#define NR_ARCH_PRCTL 158
#define NR_EXECVEAT 322
#define LIMIT_STACK 3 /* RLIMIT_STACK, asm-generic/resource.h */
/* EIO, ENFILE, EMFILE, EFBIG, ENOSPC, EDQUOT: about the state of the machine, which no precondition
 * covers. */
static __always_inline int is_shortage(s64 ret) {
  return ret == -5 || ret == -23 || ret == -24 || ret == -27 || ret == -28 || ret == -122;
}
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx) {
  struct process *p = get_process();
  if (!p) return 0;
  u64 regs = ctx->args[0], task = bpf_get_current_task();
  s64 nr, ret = ctx->args[1];
  u32 status = 0;
  u64 r[9] = {}; /* r10 r9 r8 rax rcx rdx rsi rdi orig_rax: adjacent in struct pt_regs */
  RD(r, regs + O_REGS_R10);
  nr = r[8];
  RD(status, task + O_TASK_TI_STATUS);
  if (nr == -1 && !(status & TS_COMPAT)) return 0; /* rt_sigreturn, or cancelled by a tracer */
  struct scratch *s = get_scratch();
  if (!s) return 0;
  if ((status & TS_COMPAT) || (nr & ~0x1ffLL)) {
    if (p->flags & PROCESS_FOREIGN) return 0; /* told once per image */
    begin(s, p, EVENT_FOREIGN, nr, ret);
    p->flags |= PROCESS_FOREIGN;
    output(s);
    return 0;
  }
  if (!(p->flags & PROCESS_STARTED) && !(ret == 0 && (nr == NR_EXECVE || nr == NR_EXECVEAT))) {
    p->flags |= PROCESS_STARTED;
    if (!(nr == NR_BRK && r[7] == 0) && !(nr == NR_ARCH_PRCTL && r[7] == ARCH_SET_FS)) {
      begin(s, p, EVENT_ENTRY, nr, ret);
      output(s);
    }
  }
  if (is_shortage(ret)) {
    if (p->flags & PROCESS_SHORTAGE) return 0; /* told once per image */
    begin(s, p, EVENT_SHORTAGE, nr, ret);
    p->flags |= PROCESS_SHORTAGE;
    output(s);
    return 0;
  }
  struct call *c = get_call(nr);
  if (ret == -EBADF && nr != NR_CLOSE) { /* close(2) tells nothing, and is called in loops */
    begin(s, p, EVENT_ABSENT, nr, ret);
    s->arg[0] = r[7]; s->arg[1] = r[6]; s->arg[2] = r[5]; s->arg[3] = r[0]; s->arg[4] = r[2]; s->arg[5] = r[1];
    tail(ctx, TAIL_ABSENT);
    return 0;
  }
  if (!c || !c->handler) return 0;
  if (ret <= -512 && ret >= -516) return 0; /* -ERESTART*: the call will be made again */
  begin(s, p, EVENT_CALL, nr, ret);
  s->event.aux = p->writes;
  s->arg[0] = r[7]; s->arg[1] = r[6]; s->arg[2] = r[5]; s->arg[3] = r[0]; s->arg[4] = r[2]; s->arg[5] = r[1];
  tail(ctx, c->handler);
  return 0;
}

#define ENTER                                   \
  struct scratch *s = get_scratch();            \
  if (!s) return 0;                             \
  struct call *c = get_call(s->event.nr);       \
  if (!c) return 0;                             \
  u64 task = bpf_get_current_task();            \
  s64 ret = s->event.ret
#define ARG(n) (s->arg[((n) - 1) & 7])

/* A descriptor that is not there, or not open for what was asked: each number once per image and
 * call.  Then on to what else is to be told of the call. */
int tail_absent(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  (void)task;
  u32 first = c->fd ? c->fd : c->dir ? c->dir : 1, second = c->fd2 ? c->fd2 : c->dir2;
  u32 nr = s->event.nr;
  struct process *p = get_process();
  if (!p) return 0;
  add_args(s, 1u << ((first - 1) & 7) | (second ? 1u << ((second - 1) & 7) : 0));
  if (!repeated(s)) output(s);
  if (!c->handler) return 0;
  begin(s, p, EVENT_CALL, nr, ret);
  s->event.aux = p->writes;
  tail(ctx, c->handler);
  return 0;
}

/* Calls that are given an inherited descriptor and do nothing to what it is open for: dup(2),
 * fcntl(2).  Each once per image, but for one that sets flags. */
int handle_use(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p || ret < 0) return 0;
  if (s->event.nr == NR_FCNTL && ((s->arg[1] >= F_GETLK && s->arg[1] <= F_SETLKW) ||
                                  (s->arg[1] >= F_OFD_GETLK && s->arg[1] <= F_OFD_SETLKW))) {
    tail(ctx, HANDLER_FD);
    return 0;
  }
  u32 number = ARG(c->fd);
  int flags = s->event.nr == NR_FCNTL && (s->arg[1] == F_GETFL || s->arg[1] == F_SETFL);
  /* What 1 and 2 are is in the call; of a number that the image has made itself the making told. */
  if (!flags && (number == 1 || number == 2 || (number < 64 && !(p->handed >> (number & 63) & 1)))) return 0;
  u64 f = fd_file(task, number);
  if (!f || inherited(s, p, f) < 0) return 0;
  add_args(s, c->args);
  add_open(s, f, SECTION_STAT2);
  if (!(flags && s->arg[1] == F_SETFL) && repeated(s)) return 0;
  output(s);
  return 0;
}

int handle_args(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  (void)task; (void)ret;
  if (c->flags & CALL_INHERITED) {
    struct process *p = get_process();
    if (!p) return 0;
    u64 f = fd_file(task, ARG(c->fd));
    if (!f || inherited(s, p, f) < 0) return 0;
    add_handle(s, f, SECTION_HANDLE);
  }
  /* Every C library asks how large the stack may become, once. */
  if (c->form == FORM_LIMIT && !ARG(c->out) && ARG(c->out - 1) == LIMIT_STACK) {
    struct process *p = get_process();
    if (!p) return 0;
    u64 asked = p->flags & PROCESS_STACK;
    p->flags |= PROCESS_STACK;
    if (!asked) return 0;
  }
  add_args(s, c->args);
  if (c->form == FORM_LIMIT && ARG(c->out)) add_user(s, ARG(c->out), 16);
  if (c->form == FORM_ADDRESS && ARG(c->out)) {
    u64 length = ARG(c->out + 1);
    if (length > 128) length = 128;
    add_user(s, ARG(c->out), length);
  }
  output(s);
  return 0;
}

/* The descriptor that the path /proc/self/fd/N at `path` names, or -1.  C libraries change modes and
 * times through such paths. */
static __always_inline int self_fd(u8 *path) {
  u64 w[3];
  int fd = 0, digits = 0;
  bpf_probe_read_kernel(w, sizeof(w), path);
  if (w[0] != 0x65732f636f72702fULL || (w[1] & 0xffffffffffffULL) != 0x2f64662f666cULL) return -1;
#pragma unroll
  for (int i = 14; i < 19; i++) {
    u8 c = ((u8 *)w)[i];
    if (c < '0' || c > '9') break;
    fd = fd * 10 + c - '0';
    digits++;
  }
  return digits ? fd : -1;
}

int handle_path(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  if ((s->event.nr == NR_EXECVE || s->event.nr == NR_EXECVEAT) && ret == 0) return 0; /* on_exec has it */
  int n = 0, relative = 1, on_fd = c->fd != 0;
  u64 f = 0;
  if (!on_fd && c->dir && (int)ARG(c->dir) >= 0) { /* AT_EMPTY_PATH, or a null path */
    u8 first = 0;
    if (bpf_probe_read_user(&first, 1, (void *)ARG(c->path)) && ARG(c->path)) count_fault(s);
    else on_fd = !first;
  }
  if (on_fd) {
    f = fd_file(task, ARG(c->fd ? c->fd : c->dir));
    if (f && (c->flags & CALL_STAT)) {
      struct process *p = get_process();
      u32 mode = 0;
      RD(mode, f + O_FILE_MODE);
      if (!p || (!(mode & FMODE_PATH) && inherited(s, p, f) < 0)) return 0;
    }
  }
  if (c->args) add_args(s, c->args);
  s->path_size = 0;
  if (f) {
    add_file(s, f, SECTION_STAT2);
  } else if (c->path) {
    u32 at = *(volatile u32 *)&s->used & (BUFFER - 1);
    n = add_string(s, ARG(c->path), SECTION_PATH, 0);
    s->path_size = n ? (n > 0 ? n : 0) : 1; /* Linux 6.1 returns 0 for an empty string */
    if (n > 1) relative = s->buffer[at + 4] != '/';
    if (relative) {
      queue_base(s, task, c->dir ? ARG(c->dir) : AT_FDCWD, SECTION_BASE);
    } else if (!(c->flags & CALL_READONLY) && !c->path2) {
      int fd = self_fd(s->buffer + at + 4);
      if (fd >= 0) f = fd_file(task, fd);
      if (f) {
        *(volatile u32 *)&s->used = at;
        add_file(s, f, SECTION_STAT2);
      }
    }
  }
  tail(ctx, TAIL_RESULT);
  return 0;
}
/* A call may have written its result over its own path: what is there now is another one. */
static __always_inline void refuse_overlap(struct scratch *s, struct call *c, s64 ret) {
  u64 from = ARG(c->out), path = ARG(c->path), size = c->form == FORM_LINK ? ret : 256;
  if (c->form != FORM_STAT && c->form != FORM_STATX && c->form != FORM_LINK) return;
  if (c->form == FORM_STAT) size = 144;
  if (c->path && from < path + s->path_size && path < from + size) count_fault(s);
}
/* Second half of handle_path: second path, results, and whether to tell it at all. */
int tail_result(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  if (c->path2) {
    u32 at = *(volatile u32 *)&s->used & (BUFFER - 1);
    int n = add_string(s, ARG(c->path2), SECTION_PATH2, 0);
    if (n <= 1 || s->buffer[at + 4] != '/') queue_base(s, task, c->dir2 ? ARG(c->dir2) : AT_FDCWD, SECTION_BASE2);
  }
  if (ret >= 0) {
    refuse_overlap(s, c, ret);
    if (c->form == FORM_STAT) add_stat(s, ARG(c->out), 0);
    else if (c->form == FORM_STATX) add_stat(s, ARG(c->out), 1);
    else if (c->form == FORM_LINK) add_user(s, ARG(c->out), ret);
    else if (c->form == FORM_TIMES && ARG(c->out)) add_user(s, ARG(c->out), 32);
  }
  if (((c->flags & CALL_READONLY) || ret < 0) && repeated(s)) return 0;
  FINISH(ctx, s);
}

int handle_open(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  int readonly = 1, relative = 1, n;
  if (c->args) add_args(s, c->args);
  if (c->form == FORM_HOW) add_user(s, ARG(c->out), 24);
  u32 at = s->used & (BUFFER - 1);
  n = add_string(s, ARG(c->path), SECTION_PATH, 0);
  if (n > 1) relative = s->buffer[at + 4] != '/';
  if (ret >= 0) {
    u64 f = fd_file(task, ret);
    if (f) {
      struct stamp *t = add_stamp(s, f, SECTION_STAT);
      queue_file(s, f, SECTION_FILE);
      if (t && (t->f_mode & (FMODE_WRITE | FMODE_CREATED))) readonly = 0;
    }
  }
  if (relative) queue_base(s, task, c->dir ? ARG(c->dir) : AT_FDCWD, SECTION_BASE);
  if (readonly && repeated(s)) return 0;
  FINISH(ctx, s);
}

/* Changes made through a descriptor. */
int handle_fd(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p) return 0;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f) return 0;
  if ((c->flags & CALL_INHERITED) && !s->event.err) p->writes++;
  if ((c->flags & CALL_INHERITED) && (!(c->flags & CALL_SUCCESS) || s->event.err) && inherited(s, p, f) < 0)
    return 0;
  if (c->flags & CALL_LOCK) {
    int asks = s->event.nr == NR_FCNTL && (s->arg[1] == F_GETLK || s->arg[1] == F_OFD_GETLK);
    if (s->event.err ? s->event.err != EAGAIN && s->event.err != EACCES : !asks) return 0;
    if (asks && !s->event.err) add_user(s, s->arg[2], 2); /* struct flock.l_type */
  }
  if (s->event.nr == NR_IOCTL && !s->event.err) { /* struct winsize, struct termios, struct termios2 */
    u32 request = s->arg[1];
    if (request == TIOCGWINSZ) add_user(s, s->arg[2], 8);
    if (request == TCGETS) add_user(s, s->arg[2], 36);
    if (request == TCGETS2) add_user(s, s->arg[2], 44);
  }
  add_args(s, c->args);
  add_file(s, f, SECTION_STAT2);
  FINISH(ctx, s);
}

/* Bytes from user memory, after the event of the call they belong to. */
int handle_write(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  if (s->event.type == EVENT_CALL) {
    struct process *p = get_process();
    if (!p) return 0;
    u64 f = fd_file(task, ARG(c->fd));
    int named = s->event.nr == NR_SENDTO && s->arg[4]; /* a datagram to somebody else's socket */
    if (ret > 0) p->writes++;
    if (!f || (!named && inherited(s, p, f) < 0)) return 0;
    add_args(s, c->args);
    if (is_null(add_open(s, f, SECTION_STAT2))) return 0;
    output(s);
    if (ret <= 0) return 0;
    s->event.type = EVENT_DATA; s->from = ARG(c->out); s->length = ret; s->done = 0;
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < CHUNKS; i++) {
    u64 done = s->done, left = s->length - done;
    if (done >= s->length) return 0;
    s->event.aux = done;
    if (left >= PIECE) {
      output_piece(s, s->from + done);
      s->done = done + PIECE;
      continue;
    }
    u64 n = left > CHUNK ? CHUNK : left;
    BARRIER(n);
    if (n > CHUNK) return 0;
    if (bpf_probe_read_user(s->buffer, n, (void *)(s->from + done))) count_fault(s);
    s->used = n;
    output(s);
    s->done = done + n;
  }
  tail(ctx, HANDLER_WRITE);
  s->event.flags |= FLAG_TRUNCATED; s->used = 0;
  output(s);
  return 0;
}
int handle_writev(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  if (s->event.type == EVENT_CALL) {
    struct process *p = get_process();
    if (!p) return 0;
    u64 f = fd_file(task, ARG(c->fd));
    if (ret > 0) p->writes++;
    if (!f || inherited(s, p, f) < 0) return 0;
    add_args(s, c->args);
    if (is_null(add_open(s, f, SECTION_STAT2))) return 0;
    output(s);
    if (ret <= 0) return 0;
    s->event.type = EVENT_DATA;
    s->vector = ARG(c->out); s->vectors = ARG(c->out + 1);
    s->length = 0; s->done = 0; s->total = 0;
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < CHUNKS; i++) {
    u64 total = s->total;
    if (total >= (u64)ret) return 0;
    if (s->done >= s->length) { /* next struct iovec { base, len } */
      u64 v[2] = {};
      if (!s->vectors) goto cut;
      if (bpf_probe_read_user(v, 16, (void *)s->vector)) goto cut;
      s->vector += 16; s->vectors--;
      s->from = v[0]; s->length = v[1]; s->done = 0;
      if (!v[1]) continue; /* else its bytes now: UIO_MAXIOV (1024) pieces fit into 33 instances */
    }
    u64 left = s->length - s->done;
    if (left > ret - total) left = ret - total;
    s->event.aux = total;
    if (left >= PIECE) {
      output_piece(s, s->from + s->done);
      s->done += PIECE; s->total = total + PIECE;
      continue;
    }
    u64 n = left > CHUNK ? CHUNK : left;
    BARRIER(n);
    if (n > CHUNK) return 0;
    if (bpf_probe_read_user(s->buffer, n, (void *)(s->from + s->done))) count_fault(s);
    s->used = n;
    output(s);
    s->done += n; s->total = total + n;
  }
  tail(ctx, HANDLER_WRITEV);
cut:
  s->event.flags |= FLAG_TRUNCATED; s->used = 0;
  output(s);
  return 0;
}
/* A directory listing: the event, then its bytes through handle_write's loop. */
int handle_list(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f) return 0;
  add_file(s, f, SECTION_STAT);
  if (ret > 0) {
    s->next = TAIL_DATA;
    s->from = ARG(c->out); s->length = ret; s->done = 0;
  }
  FINISH(ctx, s);
}
int tail_data(struct bpf_raw_tracepoint_args *ctx) {
  struct scratch *s = get_scratch();
  if (!s) return 0;
  s->event.type = EVENT_DATA;
  tail(ctx, HANDLER_WRITE);
  return 0;
}

/* Reads from inherited descriptors: of regular files each one (the offset they leave matters), of
 * others the first. */
int handle_read(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p || ret < 0) return 0;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f) return 0;
  int fd = inherited(s, p, f);
  if (fd < 0) return 0;
  u64 inode = 0, bit = 1ULL << (fd & 63);
  u16 mode = 0;
  RD(inode, f + O_FILE_INODE);
  RD(mode, inode + O_INODE_MODE);
  if ((mode & 0170000) != 0100000) {
    if (p->seen_reads & bit) return 0;
    p->seen_reads |= bit;
  }
  add_file(s, f, SECTION_STAT2);
  FINISH(ctx, s);
}

/* sendfile, splice, tee, copy_file_range, vmsplice with an inherited descriptor at either end: the
 * bytes never pass through user memory. */
int handle_copy(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p || ret <= 0) return 0;
  p->writes++;
  u64 to = fd_file(task, ARG(c->fd)), from = c->fd2 ? fd_file(task, ARG(c->fd2)) : 0;
  if (!to || (inherited(s, p, to) < 0 && (!from || inherited(s, p, from) < 0))) return 0;
  add_args(s, c->args);
  add_handle(s, to, SECTION_HANDLE);
  add_stamp(s, to, SECTION_STAT);
  if (from) {
    add_handle(s, from, SECTION_HANDLE2);
    add_stamp(s, from, SECTION_STAT2);
    queue_file(s, from, SECTION_FILE2);
  }
  if (c->out && ARG(c->out)) add_user(s, ARG(c->out), 8);
  FINISH(ctx, s);
}

/* Shared writable mappings of files, and any mapping of an inherited file. */
int handle_mmap(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  if (s->event.err || (s->arg[3] & 0x20)) return 0; /* MAP_ANONYMOUS */
  struct process *p = get_process();
  u64 f = fd_file(task, s->arg[4]);
  if (!p || !f) return 0;
  if (!((s->arg[3] & 1) && (s->arg[2] & 2)) && inherited(s, p, f) < 0) return 0; /* MAP_SHARED, PROT_WRITE */
  add_args(s, c->args);
  add_file(s, f, SECTION_STAT2);
  FINISH(ctx, s);
}

/* sendmsg, recvmsg: with control data (descriptors, credentials), to a named socket, or on an
 * inherited one. */
int handle_message(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  u64 control = 0, name = 0, f = fd_file(task, ARG(c->fd));
  if (!p || ret < 0 || !f) return 0;
  int unread = bpf_probe_read_user(&control, 8, (void *)(ARG(c->out) + 40)); /* msghdr.msg_controllen */
  if (s->event.nr == NR_SENDMSG) unread |= bpf_probe_read_user(&name, 8, (void *)ARG(c->out)); /* msg_name */
  if (!unread && !control && !name && inherited(s, p, f) < 0) return 0;
  if (unread) count_fault(s);
  add_args(s, c->args);
  add_open(s, f, SECTION_STAT2);
  output(s);
  return 0;
}

int handle_seek(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p) return 0;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f || inherited(s, p, f) < 0) return 0;
  add_args(s, c->args);
  add_open(s, f, SECTION_STAT2);
  output(s);
  return 0;
}

/* ---- processes ---- */
int on_newtask(struct bpf_raw_tracepoint_args *ctx) {
  struct process *p = get_process();
  if (!p) return 0;
  u64 child = ctx->args[0];
  u32 tgid = 0, tid = 0, self = bpf_get_current_pid_tgid() >> 32;
  RD(tgid, child + O_TASK_TGID);
  RD(tid, child + O_TASK_PID);
  struct scratch *s = get_scratch();
  if (!s) return 0;
  begin(s, p, EVENT_FORK, 0, tid);
  if (tgid != self) {
    if (processes.update(&tgid, p)) p->flags |= FLAG_LOST; /* table full: the child is unseen */
  } else {
    return 0; /* threads belong to their process */
  }
  s->event.aux = tgid;
  s->event.flags = p->flags & FLAG_LOST;
  s->arg[0] = ctx->args[1]; /* clone flags */
  add_args(s, 1);
  output(s);
  return 0;
}

/* Signals sent to a process of the tree by somebody outside: kill(2) and the like, or the kernel on
 * behalf of a terminal (hang-up, interrupt, quit, stop) or of the whole machine (kill). */
int on_signal(struct bpf_raw_tracepoint_args *ctx) {
  u64 info = ctx->args[1], task = ctx->args[2];
  int sig = ctx->args[0], code = 0;
  u32 tgid = 0;
  if (ctx->args[4] == 1 || get_process()) return 0; /* TRACE_SIGNAL_IGNORED */
  RD(tgid, task + O_TASK_TGID);
  struct process *p = processes.lookup(&tgid);
  if (!p) return 0;
  if (info > 1) {
    RD(code, info + O_SIGINFO_CODE);
    if (code > 0 || (code <= -2 && code >= -5)) return 0; /* SI_KERNEL; SI_TIMER to SI_SIGIO */
  } else if (info == 1 && sig != 1 && sig != 2 && sig != 3 && sig != 9 && sig != 20) {
    return 0; /* SEND_SIG_PRIV: timers and what a program brings upon itself */
  }
  struct scratch *s = get_scratch();
  if (!s) return 0;
  begin(s, p, EVENT_SIGNAL, 0, sig);
  s->event.aux = s->event.tgid;
  s->event.tgid = s->event.tid = tgid;
  output(s);
  return 0;
}

int on_exit(struct bpf_raw_tracepoint_args *ctx) {
  u32 tgid = bpf_get_current_pid_tgid() >> 32;
  struct process *p = processes.lookup(&tgid);
  if (!p) return 0;
  u64 task = bpf_get_current_task(), signal = 0, leader = 0, cpu = 0, others = 0;
  int live = 0, group_code = 0, code = 0;
  u32 flags = 0;
  RD(signal, task + O_TASK_SIGNAL);
  RD(live, signal + O_SIGNAL_LIVE);
  if (live) return 0; /* other threads are left */
  RD(flags, signal + O_SIGNAL_FLAGS);
  RD(group_code, signal + O_SIGNAL_GROUP_EXIT_CODE);
  RD(leader, task + O_TASK_GROUP_LEADER);
  RD(code, leader + O_TASK_EXIT_CODE);
  RD(cpu, task + O_TASK_RUNTIME);
  RD(others, signal + O_SIGNAL_RUNTIME);
  struct scratch *s = get_scratch();
  if (!s) return 0;
  begin(s, p, EVENT_EXIT, 0, flags & 4 ? group_code : code); /* SIGNAL_GROUP_EXIT */
  s->event.aux = cpu + others;
  processes.delete(&tgid);
  output(s);
  return 0;
}

/* Which of the 31 signals that begin with number `first` + 1 are ignored, as a sigset_t; the others
 * start with their defaults.  Without branches: Linux 6.1's verifier would follow each of the 2^31
 * ways through them. */
static __always_inline u64 ignored_signals(struct scratch *s, u64 sighand, u32 first) {
  u64 found = 0;
  if (bpf_probe_read_kernel(s->block, 31 * 32, (void *)(sighand + O_SIGHAND_ACTION + first * 32))) return ~0ULL;
#pragma unroll
  for (int i = 0; i < 31; i++) { /* struct k_sigaction: 32 bytes, the handler first */
    u64 other = FIELD(s->block, i * 32, u64) ^ 1; /* 0: SIG_IGN */
    u64 sign = other | -other;
    BARRIER(sign);
    found |= (~sign >> 63) << (i + first);
  }
  return found;
}
int on_exec(struct bpf_raw_tracepoint_args *ctx) {
  struct process *p = get_process();
  if (!p) return 0;
  u64 task = bpf_get_current_task(), bprm = ctx->args[2], mm = 0, v = 0, fs = 0, cred = 0;
  u32 w = 0;
  struct scratch *s = get_scratch();
  if (!s) return 0;
  begin(s, p, EVENT_EXEC, 0, 0);
  s->event.aux = p->image;
  p->image = s->event.ts; p->seen_reads = 0; p->known = 0; p->handed = 0; p->flags &= FLAG_LOST;
  s->event.image = s->event.ts;
  RD(fs, task + O_TASK_FS);
  RD(w, fs + O_FS_UMASK); s->arg[0] = w;
  RD(cred, task + O_TASK_CRED);
  RD(w, cred + O_CRED_EUID); s->arg[1] = w;
  RD(w, cred + O_CRED_EGID); s->arg[2] = w;
  RD(w, task + O_TASK_TI_FLAGS); s->arg[3] = w; /* TIF_ADDR32 (bit 29): a 32-bit program */
  RD(v, task + O_TASK_SIGHAND);
  s->arg[4] = ignored_signals(s, v, 0) | ignored_signals(s, v, 33); /* 32, 33: signalsets.py */
  RD(v, task + O_TASK_BLOCKED); s->arg[5] = v;
  add_args(s, 0x3f);
  RD(v, bprm + O_BPRM_FILENAME);
  add_string(s, v, SECTION_PATH, 1);
  RD(v, bprm + O_BPRM_INTERP);
  add_string(s, v, SECTION_PATH2, 1);
  RD(mm, task + O_TASK_MM);
  RD(v, mm + O_MM_EXE_FILE);
  add_stamp(s, v, SECTION_STAT);
  queue_file(s, v, SECTION_FILE);
  queue_cwd(s, task, SECTION_BASE);
  s->next = TAIL_ARGS;
  FINISH(ctx, s);
}
/* argv and environment lie next to each other in arg_start..env_end. */
int tail_args(struct bpf_raw_tracepoint_args *ctx) {
  struct scratch *s = get_scratch();
  if (!s) return 0;
  if (s->event.type != EVENT_ARGS) {
    u64 task = bpf_get_current_task(), mm = 0, start = 0, end = 0, env_end = 0;
    RD(mm, task + O_TASK_MM);
    RD(start, mm + O_MM_ARG_START);
    RD(end, mm + O_MM_ARG_END);
    RD(env_end, mm + O_MM_ENV_END);
    s->from = start; s->length = env_end - start; s->done = 0;
    s->event.type = EVENT_ARGS; s->event.ret = end - start;
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < CHUNKS; i++) {
    u64 done = s->done, left = s->length - done;
    if (done >= s->length) { tail(ctx, TAIL_FDS); return 0; }
    u64 n = left > CHUNK ? CHUNK : left;
    BARRIER(n);
    if (n > CHUNK) return 0;
    if (bpf_probe_read_user(s->buffer, n, (void *)(s->from + done))) count_fault(s);
    s->event.aux = done; s->used = n;
    output(s);
    s->done = done + n;
  }
  tail(ctx, TAIL_ARGS);
  s->event.flags |= FLAG_TRUNCATED; s->used = 0;
  output(s);
  return 0;
}
int tail_fds(struct bpf_raw_tracepoint_args *ctx) {
  struct scratch *s = get_scratch();
  struct process *p = get_process();
  if (!s || !p) return 0;
  u64 task = bpf_get_current_task(), files = 0, table[2];
  RD(files, task + O_TASK_FILES);
  RD(files, files + O_FILES_FDT);
  RD(table, files + O_FDT_MAX);
  u32 max = table[0];
  if (s->event.type != EVENT_FDS) {
    s->event.type = EVENT_FDS; s->event.ret = max; s->event.aux = 0; s->fd = 0; s->used = 0;
  }
  u32 base = s->fd;
#pragma unroll
  for (int i = 0; i < 16; i++) {
    u64 f = 0;
    u32 fd = base + i;
    if (fd < max) RD(f, table[1] + 8 * (u64)fd);
    if (f) {
      if (fd < 64) p->handed |= 1ULL << (fd & 63);
      u32 slot = *(volatile u32 *)&p->known;
      if (slot < INHERITED) {
        p->inherited[slot & (INHERITED - 1)] = f;
        *(volatile u32 *)&p->known = slot + 1;
      }
      u32 at = *(volatile u32 *)&s->used;
      at &= BUFFER - 1;
      struct descriptor *d = (struct descriptor *)(s->buffer + at);
      d->handle.file = f; d->handle.fd = fd; d->handle.pad = 0;
      RD(d->handle.pos, f + O_FILE_POS);
      read_stamp(s, &d->stamp, f);
      *(volatile u32 *)&s->used = at + sizeof(*d);
    }
  }
  s->fd = base + 16;
  if (base + 16 < max && base + 16 < SCAN_FDS && s->used < BUFFER - 16 * sizeof(struct descriptor)) tail(ctx, TAIL_FDS);
  s->event.aux = s->fd; /* descriptors below this one were looked at */
  output(s);
  return 0;
}

/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the recorder keeps: per process, per CPU while a call is told, and for user space; how an
 * event begins and leaves. */

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
#define PIPED (1 << 24) /* bytes read from pipes that are told, for each image; pcache/values.py */
#define PIPINGS 4096    /* reads from them that are told */
#define FMODE_WRITE 0x2
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
/* BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP: user space polls; a wake-up costs 7-10 us per event. */
#define NO_WAKEUP 1
#define FORCE_WAKEUP 2
/* BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE: of bpf_ringbuf_query, in bytes. */
#define RING_USED 0
#define RING_SIZE 1
#define TS_COMPAT 2     /* thread_info.status: in a 32-bit system call */
#define AT_FDCWD -100
/* In process.flags, beside FLAG_LOST: what was told of the image, and whether it has begun. */
#define PROCESS_FOREIGN 0x100
#define PROCESS_SHORTAGE 0x200
#define PROCESS_STARTED 0x400
#define PROCESS_STACK 0x800 /* it has asked for the limit of its stack: C libraries do at their start */
#define PROCESS_NETLINK 0x1000 /* it, or who started it, has made a netlink socket */
#define PROCESS_DATAGRAM 0x2000 /* the same of an inet one for datagrams */
#define ARCH_SET_FS 0x1002

struct process {
  u64 image, flags;
  u64 writes;     /* calls so far that may have changed the content of an open file */
  u64 seen_reads; /* bit n: a read of inherited[n] was told */
  u64 handed;     /* bit n: the image was handed descriptor n */
  u64 piped;      /* bytes that it has read from pipes it was handed, */
  u64 pipings;    /* and in how many calls */
  u64 capable;    /* capabilities that the root of the tree had (of its own user namespace, that is) */
  u32 known;      /* how many of `inherited` are in use */
  u32 uid;        /* of the session */
  u32 level, pad; /* the PID namespace whose numbers are told; 0: that of the machine */
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
BPF_ARRAY(sessions, struct session, 1);
BPF_RINGBUF_OUTPUT(ring, 1); /* kept between sessions; created larger: pcache/recorder/rings.py */
BPF_ARRAY_OF_MAPS(rings, "ring", 1);

/* BCC: map functions cannot be used inside a macro, so each access has a function. */
static __always_inline struct scratch *get_scratch(void) { u32 z = 0; return scratches.lookup(&z); }
static __always_inline struct counters *get_counts(void) { u32 z = 0; return counts.lookup(&z); }
static __always_inline struct session *get_session(void) { u32 z = 0; return sessions.lookup(&z); }
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
/* The reader looks into the ring every 5 ms (pcache/recorder/session.py), in which a program writes
 * 8 MB: it is woken when so many bytes more make it a MiB, or an eighth of the ring. */
static __always_inline u64 wakeup(void *ring, u64 data) {
  u64 more = sizeof(struct event) + data;
  u64 used = bpf_ringbuf_query(ring, RING_USED), enough = bpf_ringbuf_query(ring, RING_SIZE) / 8;
  if (enough > 1 << 20) enough = 1 << 20;
  return used < enough && used + more >= enough ? FORCE_WAKEUP : NO_WAKEUP;
}
static __always_inline void output(struct scratch *s) {
  struct counters *c = get_counts();
  u64 n = s->used;
  BARRIER(n);
  void *ring = get_ring();
  if (!c || n > BUFFER + SLACK) return;
  if (!ring || bpf_ringbuf_output(ring, &s->event, sizeof(struct event) + n, wakeup(ring, n))) {
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
  u64 wake = wakeup(ring, PIECE);
  struct piece *piece = bpf_ringbuf_reserve(ring, sizeof(struct piece), 0);
  if (!piece) { count_lost(c); return; }
  if (bpf_probe_read_user(piece->data, PIECE, (void *)from)) count_fault(s);
  piece->event = s->event;
  bpf_ringbuf_submit(piece, wake);
  c->events++;
  c->bytes += sizeof(struct piece) + 8;
}
/* A task's number in the PID namespace of that level, 0 if it has none there. */
static __always_inline u32 number_at(u64 task, u32 level) {
  u64 pid = 0;
  u32 own = 0, number = 0;
  RD(pid, task + O_TASK_THREAD_PID);
  if (!pid) return 0;
  RD(own, pid + O_PID_LEVEL);
  if (own < level || level > 32) return 0;
  RD(number, pid + O_PID_NUMBERS + level * 16); /* struct upid { int nr; struct pid_namespace *ns } */
  return number;
}
static __always_inline u32 leader_at(u64 task, u32 level) {
  u64 leader = 0;
  RD(leader, task + O_TASK_GROUP_LEADER);
  return number_at(leader, level);
}
static __always_inline void begin(struct scratch *s, struct process *p, u32 type, u32 nr, s64 ret) {
  u64 id = bpf_get_current_pid_tgid();
  s->used = 0; s->jobs = 0; s->job = 0; s->next = 0; s->walk_dentry = 0;
  s->event.ts = bpf_ktime_get_ns(); s->event.image = p->image; s->event.aux = 0; s->event.ret = ret;
  if (p->level) {
    u64 task = bpf_get_current_task();
    s->event.tgid = leader_at(task, p->level); s->event.tid = number_at(task, p->level);
  } else {
    s->event.tgid = id >> 32; s->event.tid = id;
  }
  s->event.err = ret < 0 && ret > -4096 ? -ret : 0;
  s->event.type = type; s->event.nr = nr; s->event.flags = p->flags & FLAG_LOST;
}

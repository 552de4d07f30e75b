/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Processes: where they come from, what a new image is handed, signals and the end. */

/* The root of a tree announces itself, see struct session. */
int on_rename(struct bpf_raw_tracepoint_args *ctx) {
  struct session *session = get_session();
  u64 name[2] = {}, pid = 0, cred = 0, task = bpf_get_current_task();
  if (!session || !session->armed) return 0;
  bpf_probe_read_kernel_str(name, sizeof(name), (void *)ctx->args[1]);
  u64 *wanted = (u64 *)session->name;
  if (name[0] != wanted[0] || name[1] != wanted[1]) return 0;
  if ((u32)bpf_get_current_uid_gid() != session->uid) return 0;
  u32 tgid = bpf_get_current_pid_tgid() >> 32;
  struct process p = {};
  p.uid = session->uid;
  RD(pid, task + O_TASK_THREAD_PID);
  RD(p.level, pid + O_PID_LEVEL);
  RD(cred, task + O_TASK_CRED);
  RD(p.capable, cred + O_CRED_PERMITTED);
  session->armed = 0;
  processes.update(&tgid, &p);
  return 0;
}

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
  if (p->level) {
    s->event.aux = leader_at(child, p->level);
    s->event.ret = number_at(child, p->level);
  }
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
  int sig = ctx->args[0], code = 0, own = get_process() != 0;
  u32 tgid = 0;
  if (ctx->args[4] == 1) return 0; /* TRACE_SIGNAL_IGNORED */
  RD(tgid, task + O_TASK_TGID);
  if (own) { /* no page: the file has become shorter, the disk full or broken; of its own memory 1, BUS_ADRALN */
    if (sig != SIGBUS || info <= 1) return 0;
    RD(code, info + O_SIGINFO_CODE);
    if (code < 2 || code == 128) return 0; /* by kill(2) and its like, or SI_KERNEL */
  }
  struct process *p = processes.lookup(&tgid);
  if (!p) return 0;
  if (own) {
    info = 0;
  } else if (info > 1) {
    RD(code, info + O_SIGINFO_CODE);
    if (code > 0 || (code <= -2 && code >= -5)) return 0; /* SI_KERNEL; SI_TIMER to SI_SIGIO */
  } else if (info == 1 && sig != 1 && sig != 2 && sig != 3 && sig != 9 && sig != 20) {
    return 0; /* SEND_SIG_PRIV: timers and what a program brings upon itself */
  }
  struct scratch *s = get_scratch();
  if (!s) return 0;
  begin(s, p, EVENT_SIGNAL, 0, sig);
  s->event.aux = s->event.tgid;
  s->event.tgid = s->event.tid = p->level ? leader_at(task, p->level) : tgid;
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
/* Whether the new image has rights that the session's user does not have: nothing of what it does is
 * for him to read. */
static __always_inline int privileged(struct process *p, u64 cred) {
  u32 uid = 0, euid = 0, gid = 0, egid = 0;
  u64 capabilities = 0;
  RD(uid, cred + O_CRED_UID); RD(euid, cred + O_CRED_EUID);
  RD(gid, cred + O_CRED_GID); RD(egid, cred + O_CRED_EGID);
  RD(capabilities, cred + O_CRED_PERMITTED);
  return p->uid && (uid != p->uid || euid != p->uid || gid != egid || (capabilities & ~p->capable));
}
int on_exec(struct bpf_raw_tracepoint_args *ctx) {
  struct process *p = get_process();
  if (!p) return 0;
  u64 task = bpf_get_current_task(), bprm = ctx->args[2], mm = 0, v = 0, fs = 0, cred = 0;
  u32 w = 0;
  struct scratch *s = get_scratch();
  if (!s) return 0;
  RD(cred, task + O_TASK_CRED);
  if (privileged(p, cred)) {
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    begin(s, p, EVENT_PRIVILEGED, 0, 0);
    processes.delete(&tgid);
    output(s);
    return 0;
  }
  begin(s, p, EVENT_EXEC, 0, 0);
  s->event.aux = p->image;
  p->image = s->event.ts; p->seen_reads = 0; p->piped = 0; p->pipings = 0; p->known = 0; p->handed = 0; p->flags &= FLAG_LOST | PROCESS_NETLINK | PROCESS_DATAGRAM;
  s->event.image = s->event.ts;
  RD(fs, task + O_TASK_FS);
  RD(w, fs + O_FS_UMASK); s->arg[0] = w;
  RD(w, cred + O_CRED_EUID); s->arg[1] = w;
  RD(w, cred + O_CRED_EGID); s->arg[2] = w;
  RD(w, task + O_TASK_TI_FLAGS); s->arg[3] = w; /* TIF_ADDR32 (bit 29): a 32-bit program */
  RD(v, task + O_TASK_SIGHAND);
  s->arg[4] = ignored_signals(s, v, 0) | ignored_signals(s, v, 33); /* 32, 33: signalsets.py */
  RD(v, task + O_TASK_BLOCKED); s->arg[5] = v;
  add_args(s, 0x3f);
  RD(v, task + O_TASK_CHILDREN); /* a list_head: of an empty list it is its own address */
  s->event.ret = v != task + O_TASK_CHILDREN;
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

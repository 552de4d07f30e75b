/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* System calls: which are told, and those of which only the arguments matter. */

#define NR_READ 0
#define NR_PREAD64 17
#define SMALL 4096 /* bytes of a file that is told as a whole when it is read */
#define NR_BRK 12
#define NR_CLOSE 3
#define NR_IOCTL 16
#define NR_FCNTL 72
#define TCGETS 0x5401
#define TCGETS2 0x802c542a
#define TIOCGWINSZ 0x5413
#define TIOCSWINSZ 0x5414
#define TCSETS 0x5402 /* and TCSETSW */
#define TCSETS2 0x402c542b /* and TCSETSW2 */
#define SIOC_FIRST 0x8900 /* of sockets, linux/sockios.h and linux/wireless.h: about interfaces */
#define SIOC_LAST 0x8bff
#define F_GETFL 3
#define F_SETFL 4
#define F_SETPIPE_SZ 1031
#define F_GETPIPE_SZ 1032
#define F_DUPFD_QUERY 1027
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#define F_UNLCK 2
#define O_APPEND 02000
#define LOCK_SH 1
#define LOCK_EX 2
#define EINTR 4
#define EBADF 9
#define EAGAIN 11
#define EFAULT 14
#define EINVAL 22
#define ESPIPE 29
#define SIGBUS 7
#define NR_SOCKET 41
#define NR_ACCEPT 43
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_SETSOCKOPT 54
#define NR_GETSOCKOPT 55
#define NR_EXECVE 59
#define NR_ARCH_PRCTL 158
#define NR_ACCEPT4 288
#define NR_EXECVEAT 322
#define NR_PWRITEV2 328
#define RWF_NOAPPEND 0x20 /* linux/fs.h: the bytes go where they are told to, in spite of O_APPEND */
#define AT_BASE 7 /* uapi/linux/auxvec.h */
#define LOADER_SIZE 0x40000
#define LIMIT_STACK 3 /* RLIMIT_STACK, asm-generic/resource.h */
/* EIO, ENFILE, EMFILE, ETXTBSY, EFBIG, ENOSPC, ENOLCK, ENOBUFS, ESTALE, EDQUOT: about the state of the
 * machine, which no precondition covers.  ENOMEM is, but for questions about what is mapped (mremap, msync,
 * mincore, madvise, munlock, munlockall); EAGAIN where it is no question of who has read or written (mlock
 * and its like, clone, fork, vfork, execve, timer_create, clone3). */
static __always_inline int is_shortage(u32 nr, s64 ret) {
  if (ret == -12) return !(nr >= 25 && nr <= 28) && nr != 150 && nr != 152;
  if (ret == -11) return (nr >= 56 && nr <= 59) || nr == 149 || nr == 151 || nr == 222 || nr == 325 || nr == 435;
  return ret == -5 || ret == -23 || ret == -24 || ret == -26 || ret == -27 || ret == -28 || ret == -37 ||
         ret == -105 || ret == -116 || ret == -122;
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
  if (is_shortage(nr, ret)) {
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
  if (ret <= -512 && ret >= -516) { /* -ERESTART*: it will be made again, or have ended with EINTR */
    if (!(c->flags & CALL_LOCK) && c->handler != HANDLER_READ) return 0;
    ret = -EINTR;
  }
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
 * fcntl(2), fsync(2).  Each once per image, but for one that sets flags. */
int handle_use(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  int asked = c->flags & CALL_INHERITED; /* for what is not the same of files, pipes and terminals */
  if (!p || (ret < 0 && !asked)) return 0;
  if (s->event.nr == NR_FCNTL && ((s->arg[1] >= F_GETLK && s->arg[1] <= F_SETLKW) ||
                                  (s->arg[1] >= F_OFD_GETLK && s->arg[1] <= F_OFD_SETLKW))) {
    tail(ctx, HANDLER_FD);
    return 0;
  }
  u32 number = ARG(c->fd);
  int flags = s->event.nr == NR_FCNTL && (s->arg[1] == F_GETFL || s->arg[1] == F_SETFL ||
                                          s->arg[1] == F_SETPIPE_SZ || s->arg[1] == F_GETPIPE_SZ ||
                                          s->arg[1] == F_DUPFD_QUERY);
  /* That 1 and 2 are open is in the call; of a number that the image has made itself the making told. */
  if (!flags && !asked && (number == 1 || number == 2 || (number < 64 && !(p->handed >> (number & 63) & 1)))) return 0;
  u64 f = fd_file(task, number);
  if (!f) return 0;
  if (inherited(s, p, f) < 0) {
    /* O_APPEND taken away from a file of its own: from now on it may write elsewhere than at its end. */
    u64 inode = 0;
    u16 mode = 0;
    if (!flags || s->arg[1] != F_SETFL || (s->arg[2] & O_APPEND)) return 0;
    RD(inode, f + O_FILE_INODE);
    RD(mode, inode + O_INODE_MODE);
    if ((mode & 0170000) != 0100000) return 0;
    add_args(s, c->args);
    add_file(s, f, SECTION_STAT2);
    FINISH(ctx, s);
  }
  add_args(s, c->args);
  add_open(s, f, SECTION_STAT2);
  if (!(flags && s->arg[1] == F_SETFL) && repeated(s)) return 0;
  output(s);
  return 0;
}

int handle_args(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  (void)task;
  if ((c->flags & CALL_IN_VAIN) && (ret || repeated(s))) return 0;
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
  if (c->form == FORM_TIMER && ARG(c->out)) add_user(s, ARG(c->out), 32);
  if ((c->flags & CALL_READONLY) && repeated(s)) return 0;
  output(s);
  return 0;
}

/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* System calls: which are told, and those of which only the arguments matter. */

#define NR_BRK 12
#define NR_FCNTL 72
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#define F_UNLCK 2
#define LOCK_SH 1
#define LOCK_EX 2
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
  /* Every C library asks how large the stack may become. */
  if (c->form == FORM_LIMIT && !ARG(c->out) && ARG(c->out - 1) == LIMIT_STACK) return 0;
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

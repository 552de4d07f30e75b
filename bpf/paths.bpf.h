/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* System calls on paths and on open files: what they look at, open and change. */

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

/* Whether instructions of the dynamic loader make this call: it lies at AT_BASE of the auxiliary vector,
 * and is 0x38000 bytes long (glibc 2.36). */
static __always_inline int by_loader(u64 regs, u64 task) {
  u64 mm = 0, ip = 0, vector[48] = {};
  RD(ip, regs + O_REGS_IP);
  RD(mm, task + O_TASK_MM);
  RD(vector, mm + O_MM_AUXV);
#pragma unroll
  for (int i = 0; i < 48; i += 2)
    if (vector[i] == AT_BASE) return vector[i + 1] && ip - vector[i + 1] < LOADER_SIZE;
  return 0;
}

/* A terminal that the image was handed, opened anew by its name as libuv does: the new description
 * counts as handed, too, as long as there is room for it. */
static __always_inline int adopt_terminal(struct scratch *s, u64 file) {
  struct process *p = get_process();
  u64 inode = 0, other = 0;
  u32 device = 0;
  u16 mode = 0;
  RD(inode, file + O_FILE_INODE);
  RD(mode, inode + O_INODE_MODE);
  if ((mode & 0170000) != 0020000 || !p) return 0;
  RD(device, inode + O_INODE_RDEV);
  device >>= 20; /* dev_t: the major number, Documentation/admin-guide/devices.txt */
  if (device != 4 && (device < 136 || device > 143)) return 0;
  *(volatile int *)&s->found = 0;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < INHERITED; i++) {
    if (i >= p->known) break;
    RD(other, p->inherited[i] + O_FILE_INODE);
    if (other == inode) *(volatile int *)&s->found = 1;
  }
  u32 slot = *(volatile u32 *)&p->known;
  if (!*(volatile int *)&s->found || slot >= INHERITED) return 0;
  p->inherited[slot & (INHERITED - 1)] = file;
  *(volatile u32 *)&p->known = slot + 1;
  return 1;
}

int handle_open(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  int readonly = 1, relative = 1, n;
  if (c->args) add_args(s, c->args);
  if (c->form == FORM_HOW) add_user(s, ARG(c->out), 24);
  u32 at = s->used & (BUFFER - 1);
  n = add_string(s, ARG(c->path), SECTION_PATH, 0);
  if (n > 1) relative = s->buffer[at + 4] != '/';
  if (n == 17 && ret >= 0) { /* "/etc/ld.so.cache" */
    u64 w[2];
    bpf_probe_read_kernel(w, sizeof(w), s->buffer + at + 4);
    if (w[0] == 0x2e646c2f6374652fULL && w[1] == 0x65686361632e6f73ULL && by_loader(ctx->args[0], task)) s->event.flags |= FLAG_LOADER;
  }
  if (ret >= 0) {
    u64 f = fd_file(task, ret);
    if (f) {
      struct stamp *t = add_stamp(s, f, SECTION_STAT);
      queue_file(s, f, SECTION_FILE);
      if (t && (t->f_mode & (FMODE_WRITE | FMODE_CREATED))) readonly = 0;
      if (adopt_terminal(s, f)) {
        add_handle(s, f, SECTION_HANDLE);
        readonly = 0;
      }
    }
  }
  if (relative) queue_base(s, task, c->dir ? ARG(c->dir) : AT_FDCWD, SECTION_BASE);
  if (readonly && repeated(s)) return 0;
  FINISH(ctx, s);
}

/* Whether a successful call took a lock, or asked for one: then its type is told. */
static __always_inline int locks(struct scratch *s) {
  u64 op = s->arg[1];
  u16 type = F_UNLCK;
  if (s->event.nr != NR_FCNTL) return (op & (LOCK_SH | LOCK_EX)) != 0;
  int asks = op == F_GETLK || op == F_OFD_GETLK;
  if (!asks && op != F_SETLK && op != F_SETLKW && op != F_OFD_SETLK && op != F_OFD_SETLKW) return 0;
  bpf_probe_read_user(&type, sizeof(type), (void *)s->arg[2]); /* struct flock.l_type */
  if (!asks && type == F_UNLCK) return 0;
  add_user(s, s->arg[2], 2);
  return 1;
}

/* Changes made through a descriptor. */
int handle_fd(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p) return 0;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f) return 0;
  if ((c->flags & CALL_INHERITED) && !s->event.err) p->writes++;
  int told = s->event.err ? c->flags & CALL_FAILURE : c->flags & CALL_SUCCESS;
  if (s->event.nr == NR_IOCTL && s->arg[1] >= SIOC_FIRST && s->arg[1] <= SIOC_LAST) told = 1;
  if ((c->flags & CALL_INHERITED) && !told && inherited(s, p, f) < 0) return 0;
  if (c->flags & CALL_LOCK) {
    u32 e = s->event.err; /* EBADF, EINVAL, EFAULT: of the program's own making */
    if (e ? e == EBADF || e == EINVAL || e == EFAULT : !locks(s)) return 0;
  }
  if (s->event.nr == NR_IOCTL && !s->event.err) { /* struct winsize, struct termios, struct termios2 */
    u32 request = s->arg[1];
    if (request == TIOCGWINSZ || request == TIOCSWINSZ) add_user(s, s->arg[2], 8);
    if (request == TCGETS || request == TCSETS || request == TCSETS + 1) add_user(s, s->arg[2], 36);
    if (request == TCGETS2 || request == TCSETS2 || request == TCSETS2 + 1) add_user(s, s->arg[2], 44);
  }
  add_args(s, c->args);
  add_file(s, f, SECTION_STAT2);
  if ((c->flags & CALL_LOCK) && !s->event.err && repeated(s)) return 0;
  FINISH(ctx, s);
}

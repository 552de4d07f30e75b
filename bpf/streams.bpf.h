/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bytes: what is read from and written to descriptors that an image was handed. */

/* Bytes from user memory, after the event of the call they belong to. */
int handle_write(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  if (s->event.type == EVENT_CALL) {
    struct process *p = get_process();
    if (!p) return 0;
    u64 f = fd_file(task, ARG(c->fd));
    int named = s->event.nr == NR_SENDTO && s->arg[4]; /* a datagram to somebody else's socket */
    if (ret > 0) p->writes++;
    if (!f) return 0;
    u64 netlink = netlink_sock(p, f), datagram = datagram_sock(p, f);
    if (!named && !netlink && !datagram && inherited(s, p, f) < 0) return 0;
    add_args(s, c->args);
    if (is_null(add_open(s, f, SECTION_STAT2))) return 0;
    u64 sock = named ? sock_of(f) : netlink ? netlink : datagram;
    if (sock) add_endpoint(s, sock);
    if (named) add_address(s, s->arg[4], s->arg[5]);
    output(s);
    if (ret <= 0 || datagram) return 0;
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
    int anywhere = s->event.nr == NR_PWRITEV2 && (s->arg[5] & RWF_NOAPPEND);
    if (!f) return 0;
    u64 netlink = netlink_sock(p, f), datagram = datagram_sock(p, f);
    if (!netlink && !datagram && !anywhere && inherited(s, p, f) < 0) return 0;
    add_args(s, c->args);
    if (is_null(add_open(s, f, SECTION_STAT2))) return 0;
    if (netlink || datagram) add_endpoint(s, netlink ? netlink : datagram);
    output(s);
    if (ret <= 0 || datagram) return 0;
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

/* Whether so many bytes more would fill half of the ring: what is lost costs all that is recorded. */
static __always_inline int is_busy(u64 more) {
  void *ring = get_ring();
  if (!ring) return 1;
  u64 used = bpf_ringbuf_query(ring, RING_USED), size = bpf_ringbuf_query(ring, RING_SIZE);
  return used + more > size / 2;
}

/* Reads from inherited descriptors: of regular files each one (the offset they leave matters), of
 * pipes each one with its bytes, as long as they are few, of others the first. */
int handle_read(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p) return 0;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f) return 0;
  int fd = inherited(s, p, f);
  u64 datagram = ret >= 0 ? datagram_sock(p, f) : 0;
  if (datagram) {
    u32 length = 0;
    if (s->event.nr == NR_RECVFROM && s->arg[4] && s->arg[5])
      bpf_probe_read_user(&length, sizeof(length), (void *)s->arg[5]);
    add_open(s, f, SECTION_STAT2);
    add_endpoint(s, datagram);
    if (length) add_address(s, s->arg[4], length);
    output(s);
    return 0;
  }
  if (fd < 0) {
    /* A small file that was read as a whole: its bytes, once for each version of it, as it may be
     * written to before anybody else can look. */
    u64 at = 0, size = 0, file = 0;
    u16 form = 0;
    if ((s->event.nr != NR_READ && s->event.nr != NR_PREAD64) || ret <= 0 || ret > SMALL) return 0;
    RD(file, f + O_FILE_INODE);
    RD(size, file + O_INODE_SIZE);
    if (size != (u64)ret) return 0;
    RD(form, file + O_INODE_MODE);
    if (s->event.nr == NR_PREAD64) {
      if (s->arg[3]) return 0;
    } else {
      RD(at, f + O_FILE_POS);
      if (at != (u64)ret) return 0;
    }
    if ((form & 0170000) != 0100000) return 0;
    add_stamp(s, f, SECTION_STAT);
    if (repeated_since(s, 1)) return 0;
    queue_file(s, f, SECTION_FILE);
    s->next = TAIL_DATA;
    s->from = s->arg[1]; s->length = ret; s->done = 0;
    FINISH(ctx, s);
  }
  u64 inode = 0, bit = 1ULL << (fd & 63);
  u16 mode = 0;
  RD(inode, f + O_FILE_INODE);
  RD(mode, inode + O_INODE_MODE);
  if ((mode & 0170000) != 0100000) {
    int pipe = (mode & 0170000) == 0010000 && s->event.nr == NR_READ;
    if (p->seen_reads & bit) return 0;
    if (pipe && !ret && !s->arg[2]) return 0; /* nothing was asked for: it does not tell the end */
    if (pipe) {
      add_args(s, 4); /* how much was asked for */
      p->pipings++;
      if (ret > 0) p->piped += ret;
    }
    if (!pipe || p->piped > PIPED || p->pipings > PIPINGS || (ret > 0 && is_busy(ret))) {
      p->seen_reads |= bit;
    } else if (ret > 0) {
      s->next = TAIL_DATA;
      s->from = s->arg[1]; s->length = ret; s->done = 0;
    }
  }
  add_file(s, f, SECTION_STAT2);
  FINISH(ctx, s);
}

/* sendfile, splice, tee, copy_file_range, vmsplice with an inherited descriptor at either end: the
 * bytes never pass through user memory. */
int handle_copy(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p || (ret <= 0 && ret != -EAGAIN)) return 0; /* else they fall back on read and write */
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
  if (s->arg[3] & 0x20) return 0; /* MAP_ANONYMOUS */
  struct process *p = get_process();
  u64 f = fd_file(task, s->arg[4]);
  if (!p || !f) return 0;
  int shared = (s->arg[3] & 1) && (s->arg[2] & 2) && !s->event.err; /* MAP_SHARED, PROT_WRITE */
  if (!shared && inherited(s, p, f) < 0) return 0;
  add_args(s, c->args);
  add_file(s, f, SECTION_STAT2);
  FINISH(ctx, s);
}

/* sendmsg, recvmsg: with control data (descriptors, credentials), to a named socket or a netlink
 * one, or on an inherited one. */
int handle_message(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  u64 control = 0, name = 0, f = fd_file(task, ARG(c->fd));
  u32 length = 0;
  if (!p || !f || (ret < 0 && inherited(s, p, f) < 0)) return 0;
  int unread = bpf_probe_read_user(&control, 8, (void *)(ARG(c->out) + 40)); /* msghdr.msg_controllen */
  if (s->event.nr == NR_SENDMSG) unread |= bpf_probe_read_user(&name, 8, (void *)ARG(c->out)); /* msg_name */
  u64 sock = s->event.nr == NR_SENDMSG ? netlink_sock(p, f) : 0;
  if (!sock && ret >= 0) sock = datagram_sock(p, f);
  if (sock) { /* msg_name, msg_namelen */
    unread |= bpf_probe_read_user(&name, 8, (void *)ARG(c->out));
    unread |= bpf_probe_read_user(&length, 4, (void *)(ARG(c->out) + 8));
  }
  if (!unread && !control && !name && !sock && inherited(s, p, f) < 0) return 0;
  if (unread) count_fault(s);
  add_args(s, c->args);
  add_open(s, f, SECTION_STAT2);
  if (sock) add_endpoint(s, sock);
  if (sock && length) add_address(s, name, length);
  output(s);
  return 0;
}

int handle_seek(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p || (ret < 0 && ret != -ESPIPE)) return 0;
  u64 f = fd_file(task, ARG(c->fd));
  if (!f || inherited(s, p, f) < 0) return 0;
  add_args(s, c->args);
  add_open(s, f, SECTION_STAT2);
  output(s);
  return 0;
}

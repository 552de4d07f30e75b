/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sockets: what they are of, where they are bound and who is at the other end. */

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define SOCK_DGRAM 2

/* struct sock of an open file, or 0 if it is no socket. */
static __always_inline u64 sock_of(u64 file) {
  u64 inode = 0, sock = 0;
  u16 mode = 0;
  RD(inode, file + O_FILE_INODE);
  RD(mode, inode + O_INODE_MODE);
  if ((mode & 0170000) != 0140000) return 0;
  RD(sock, file + O_PRIVATE_DATA);
  if (sock) RD(sock, sock + O_SOCKET_SK);
  return sock;
}
static __always_inline u16 family_of(u64 sock) {
  u16 family = 0;
  RD(family, sock + O_SOCK_FAMILY);
  return family;
}
/* A netlink socket of a process that has made one: what is written there asks the kernel something. */
static __always_inline u64 netlink_sock(struct process *p, u64 file) {
  u64 sock = p->flags & PROCESS_NETLINK ? sock_of(file) : 0;
  return sock && family_of(sock) == AF_NETLINK ? sock : 0;
}
/* The same of an inet socket for datagrams: who they come from is told with each. */
static __always_inline u64 datagram_sock(struct process *p, u64 file) {
  u64 sock = p->flags & PROCESS_DATAGRAM ? sock_of(file) : 0;
  u16 family = 0, type = 0;
  if (!sock) return 0;
  family = family_of(sock);
  RD(type, sock + O_SOCK_TYPE);
  return type == SOCK_DGRAM && (family == AF_INET || family == AF_INET6) ? sock : 0;
}
static __always_inline void add_address(struct scratch *s, u64 address, u64 length) {
  if (!address) return;
  if (length > 128) length = 128;
  add_user(s, address, length);
}
static __always_inline void add_endpoint(struct scratch *s, u64 sock) {
  u32 at = s->used & (BUFFER - 1);
  struct endpoint *e = (struct endpoint *)(s->buffer + at + 4);
  u16 port = 0;
  e->local1 = e->local2 = e->remote1 = e->remote2 = 0;
  e->family = family_of(sock);
  RD(e->type, sock + O_SOCK_TYPE);
  RD(e->protocol, sock + O_SOCK_PROTOCOL);
  RD(e->local_port, sock + O_SOCK_NUM);
  RD(port, sock + O_SOCK_DPORT);
  e->remote_port = (u16)(port << 8 | port >> 8);
  e->pad = 0; e->pad2 = 0;
  if (e->family == AF_INET6) {
    RD(e->local1, sock + O_SOCK_LOCAL6); RD(e->local2, sock + O_SOCK_LOCAL6 + 8);
    RD(e->remote1, sock + O_SOCK_REMOTE6); RD(e->remote2, sock + O_SOCK_REMOTE6 + 8);
  } else if (e->family == AF_INET) {
    u32 address = 0;
    RD(address, sock + O_SOCK_LOCAL); e->local1 = address;
    RD(address, sock + O_SOCK_REMOTE); e->remote1 = address;
  } else if (e->family == AF_UNIX) {
    e->local1 = sock;
    RD(e->remote1, sock + O_UNIX_PEER);
  }
  section(s, at, SECTION_ENDPOINT, sizeof(*e));
  s->used = at + 4 + sizeof(*e);
}

/* What is done to a socket but for writing and reading.  Of accept(2) the endpoint is that of the new
 * one.  Options of unix sockets, and how any of its own is used after it was made (CALL_INHERITED), are
 * told only of those that were inherited. */
int handle_socket(struct bpf_raw_tracepoint_args *ctx) {
  ENTER;
  struct process *p = get_process();
  if (!p) return 0;
  u64 f = fd_file(task, s->event.nr == NR_SOCKET ? (u64)ret : ARG(c->fd));
  if (s->event.nr == NR_SOCKET && ret < 0) f = 0;
  if (!f && s->event.nr != NR_SOCKET) return 0;
  u64 sock = f ? sock_of(f) : 0;
  int theirs = inherited(s, p, f) >= 0;
  if (s->event.nr == NR_SOCKET && ARG(1) == AF_NETLINK && ret >= 0) p->flags |= PROCESS_NETLINK;
  if (s->event.nr == NR_SOCKET && ARG(1) != AF_UNIX && (ARG(2) & 0xf) == SOCK_DGRAM && ret >= 0) p->flags |= PROCESS_DATAGRAM;
  if (!theirs) {
    if (c->flags & CALL_INHERITED) return 0;
    if ((s->event.nr == NR_SETSOCKOPT || s->event.nr == NR_GETSOCKOPT) && (!sock || family_of(sock) == AF_UNIX)) return 0;
  }
  if ((s->event.nr == NR_ACCEPT || s->event.nr == NR_ACCEPT4) && ret >= 0) {
    u64 accepted = fd_file(task, ret);
    if (accepted) sock = sock_of(accepted);
  }
  add_args(s, c->args);
  if (f) add_open(s, f, SECTION_STAT2);
  if (sock) add_endpoint(s, sock);
  if (c->form == FORM_ADDRESS) add_address(s, ARG(c->out), ARG(c->out + 1));
  output(s);
  return 0;
}

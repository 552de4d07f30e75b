/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Event layout, shared with pcache/observe/events.py (tests/unit/probes/test_layout.py compares them).
 *
 * A ring record is `struct event`, then sections of { u16 kind, u16 length, bytes }.  What varies
 * between two identical accesses (time, process, result, pointers) is in the header up to `err`;
 * everything from `err` on is equal for equal accesses, so that user space decodes each distinct
 * access once.
 */
#ifndef PCACHE_LAYOUT_H
#define PCACHE_LAYOUT_H

enum event_type {
  EVENT_CALL = 1,     /* a system call that returned: aux = struct process.writes */
  EVENT_FORK = 2,     /* task_newtask: ret = new tid, aux = new tgid */
  EVENT_EXEC = 3,     /* successful execve: aux = image replaced, ret = whether it has children already */
  EVENT_EXIT = 4,     /* last thread gone: ret = wait status, aux = CPU time in ns of that thread */
  EVENT_DATA = 5,     /* bytes of the preceding EVENT_CALL of this thread: aux = offset in them */
  EVENT_FDS = 6,      /* descriptors of a new image */
  EVENT_ARGS = 7,     /* bytes of argv and environment of a new image: aux = offset in them */
  EVENT_FOREIGN = 8,  /* a 32-bit or x32 system call */
  EVENT_ENTRY = 9,    /* an image whose first system call is not one of a C library's start-up */
  EVENT_SHORTAGE = 10, /* a call that failed for want of disk, descriptors or limits */
  EVENT_SIGNAL = 11,  /* a signal from outside the tree: ret = its number, aux = sender's tgid; or for a
                       * mapped page that cannot be had: aux = its own tgid */
  EVENT_ABSENT = 12,  /* a call that failed with EBADF: arguments that may be the descriptors */
  EVENT_PRIVILEGED = 13, /* the process executed a program with rights of its own: the last of it */
};

enum section_kind {
  SECTION_ARGS = 1,    /* u64[]: the arguments selected by struct call.args */
  SECTION_PATH = 2,    /* user string, NUL included; length 0xffff: unreadable */
  SECTION_PATH2 = 3,
  SECTION_BASE = 4,    /* directory that a relative SECTION_PATH starts from, as a walk */
  SECTION_BASE2 = 5,
  SECTION_FILE = 6,    /* walk of the file the call is about */
  SECTION_FILE2 = 7,
  SECTION_STAT = 8,    /* struct stamp of the file the call is about */
  SECTION_STAT2 = 9,
  SECTION_OUT = 10,    /* bytes of a result or argument structure */
  SECTION_HANDLE = 11, /* struct handle: which open file description */
  SECTION_HANDLE2 = 12,
  SECTION_ENDPOINT = 13, /* struct endpoint of a socket */
};

enum event_flags {
  FLAG_LOST = 1,      /* events of this process were lost before this one */
  FLAG_FAULT = 2,     /* user memory could not be read */
  FLAG_TRUNCATED = 4, /* data or walk cut short */
  FLAG_INHERITED = 8, /* a relative path starts from a descriptor inherited at exec */
  FLAG_LOADER = 16,   /* the dynamic loader opens its cache */
};

enum walk_end {
  WALK_ROOT = 1,    /* reached the task's root: the path is complete */
  WALK_OUTSIDE = 2, /* reached the top of the mount tree without meeting the task's root */
  WALK_DETACHED = 4,/* no parent: pipe, socket, memfd */
  WALK_FAULT = 8,
  WALK_TRUNCATED = 16,
  WALK_DELETED = 32, /* the name was unlinked */
};

struct event {
  u64 ts;  /* CLOCK_MONOTONIC, ns */
  u64 image; /* exec time of the running image: identifies the execution with tgid */
  u64 aux;
  s64 ret;
  u32 tgid, tid;
  u16 err, type, nr, flags;
};

/* What identifies a version of a file: FACTS "stamp". */
struct stamp {
  u64 ino;
  s64 size, mtime_s, ctime_s;
  u32 mtime_n, ctime_n;
  u32 dev; /* major << 20 | minor */
  u32 mode, nlink, uid, gid, rdev;
  u32 f_flags, f_mode; /* of struct file; 0 from stat(2) */
  u32 magic;           /* of the super block; 0 from stat(2) */
  u32 state;           /* STAMP_* */
};

enum stamp_state {
  STAMP_QUERIED = 1, /* I_CTIME_QUERIED (6.13+): the next change gets a distinct ctime */
  STAMP_WRITERS = 2, /* somebody else has it open for writing */
};

struct handle {
  u64 file; /* address of struct file: compares equal for the same open file description */
  s64 pos;  /* file offset after the call */
  u32 fd;   /* the number by which the call was told it; ~0: by none */
  u32 pad;
};

struct descriptor {
  struct handle handle;
  struct stamp stamp;
};

/* A socket and what it is connected to.  Addresses as the kernel keeps them: of IPv4 the first four
 * bytes; of unix sockets those of both struct sock; of other families none. */
struct endpoint {
  u64 local1, local2, remote1, remote2;
  u16 family, type, protocol, local_port, remote_port, pad;
  u32 pad2;
};

/* Whose tree is recorded: the process of that user that takes `name` for its own (prctl(2)
 * PR_SET_NAME) is its root.  Only who was told the name can, and only for itself: no number of a
 * process, which means another one in each PID namespace, comes from user space. */
struct session {
  u8 name[16];
  u32 uid;   /* real user id */
  u32 armed; /* 0: the root has come, or nobody is waited for */
};

/* What to take from a system call.  Argument numbers count from 1; 0 = none. */
struct call {
  u8 handler;
  u8 path, dir, path2, dir2; /* path strings and the directory descriptors they start from */
  u8 fd;                     /* descriptor the call is about */
  u8 fd2;
  u8 out;                    /* pointer to a structure worth keeping, in form `form` */
  u8 form;
  u8 args;  /* bit n-1: keep argument n */
  u8 flags; /* CALL_* */
  u8 pad;
};

enum call_flags {
  CALL_READONLY = 1, /* changes nothing: repeated identical calls of an image are told once */
  CALL_STAT = 2,     /* stat family: of an open file of its own it tells nothing new */
  CALL_INHERITED = 4, /* only when the descriptor was inherited at exec */
  CALL_SUCCESS = 8,   /* or when it succeeded */
  CALL_LOCK = 16,     /* only locks that are taken, asked for, or held by somebody else */
  CALL_FAILURE = 32,  /* of CALL_INHERITED: or when it failed */
  CALL_IN_VAIN = 64,  /* only when nothing was ready, and once per image */
};

enum call_form {
  FORM_NONE = 0,
  FORM_LINK = 1,   /* readlink: ret bytes */
  FORM_STAT = 2,   /* struct stat */
  FORM_STATX = 3,  /* struct statx */
  FORM_TIMES = 4,  /* struct timespec[2], or a null pointer */
  FORM_ADDRESS = 5, /* struct sockaddr, at most 128 bytes, length in the next argument */
  FORM_HOW = 6,    /* struct open_how */
  FORM_LIMIT = 7,  /* struct rlimit; with a null pointer the call is not told */
  FORM_TIMER = 8,  /* struct itimerval, or a null pointer */
};

/* Slots of the program array: handlers of struct call, then the shared tails. */
enum handler {
  HANDLER_NONE = 0,
  HANDLER_ARGS = 1,
  HANDLER_PATH = 2,
  HANDLER_OPEN = 3,
  HANDLER_FD = 4,
  HANDLER_WRITE = 5,
  HANDLER_WRITEV = 6,
  HANDLER_READ = 7,
  HANDLER_COPY = 8,
  HANDLER_MMAP = 9,
  HANDLER_LIST = 10,
  HANDLER_MESSAGE = 11,
  HANDLER_SEEK = 12,
  HANDLER_USE = 13,
  HANDLER_SOCKET = 14,
  TAIL_WALK = 20,
  TAIL_ARGS = 21,
  TAIL_FDS = 22,
  TAIL_DATA = 23,
  TAIL_RESULT = 24,
  TAIL_ABSENT = 25,
};

#endif

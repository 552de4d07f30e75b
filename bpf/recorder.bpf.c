/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recorder: what every process of one tree does to files, streams and its surroundings.
 *
 * Six raw tracepoints.  System calls are taken at sys_exit, where the arguments are still in
 * pt_regs and the user pages they point to are present; a successful execve at sched_process_exec.
 * Handlers are reached by tail calls from the table `calls`, so that the verifier meets each
 * expensive loop once.  No kernel header is used: kernel objects are u64 addresses, read with
 * bpf_probe_read_kernel at offsets that come from BTF as -DO_STRUCT_FIELD (pcache/probes/offsets.py).
 *
 * BCC rewrites uses of maps and makes programs in the main file only, so pcache/probes/program.py
 * puts the files in place of the lines that include them.
 *
 * -D parameters: O_*, FILE_BLOCK, INODE_BLOCK, SUPER_BLOCK (bytes read of each).
 */
#include "layout.h"
#include "state.bpf.h"
#include "sections.bpf.h"
#include "walk.bpf.h"
#include "repeated.bpf.h"
#include "calls.bpf.h"
#include "paths.bpf.h"
#include "sockets.bpf.h"
#include "streams.bpf.h"
#include "lifecycle.bpf.h"

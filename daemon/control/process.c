/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flags, limits and locked memory of the process. */
#include "process.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

#define OWN_MIB	   64	/* code, stacks, frames, inventory */
#define THREAD_MIB 16	/* an I/O thread that is not the first: its stack, and memory of its own */
#define LANE_MIB   8	/* each of several has at least so much bounce memory */
#define RING_MIB   1032 /* one LUN: data area of 1 GiB and command ring of 8 MiB, TCMU's default */

void process_io_flusher(void)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		log_warn("cannot become an I/O flusher (%s): under memory pressure the kernel may wait for "
			 "its own LUNs; "
			 "run hbad with CAP_SYS_RESOURCE",
			strerror(errno));
}

void process_drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	/* What is not permitted is not ambient either (capabilities(7)). */
	if (geteuid() != 0 && syscall(SYS_capset, &head, none))
		log_warn("cannot give up capabilities: %s", strerror(errno));
}

static bool may_lock_all(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	return !syscall(SYS_capget, &head, data) && data[0].effective & (1u << CAP_IPC_LOCK);
}

int process_check_memlock(uint32_t bounce_mib, unsigned n_threads, struct err *e)
{
	uint32_t bounce = n_threads > 1 ? MAX(bounce_mib, n_threads * LANE_MIB) : bounce_mib;
	uint32_t own = OWN_MIB + (n_threads - 1) * THREAD_MIB;
	uint64_t need = bounce + own + RING_MIB;
	struct rlimit rl;

	if (may_lock_all() || getrlimit(RLIMIT_MEMLOCK, &rl) || rl.rlim_cur == RLIM_INFINITY ||
		rl.rlim_cur >> 20 >= need)
		return 0;
	return err_set(e, -ENOMEM,
		"the limit on locked memory is %llu MiB, and hbad needs %llu MiB with one LUN (%u of bounce "
		"memory, %u of its own, %d for each LUN): set LimitMEMLOCK=infinity in the unit, or \"ulimit "
		"-l "
		"unlimited\"%s",
		(unsigned long long)(rl.rlim_cur >> 20), (unsigned long long)need, bounce, own, RING_MIB,
		n_threads > 1 ? "; or fewer io_threads in the configuration" : "");
}

void process_lock_memory(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		log_warn("cannot lock memory (%s): a swapped-out hbad may wait for its own LUNs; set "
			 "LimitMEMLOCK=infinity",
			strerror(errno));
}

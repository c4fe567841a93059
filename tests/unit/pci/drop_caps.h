/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of limits that do not bind root: gives up CAP_IPC_LOCK in this (forked) process. */
#ifndef HBAD_TEST_DROP_CAPS_H
#define HBAD_TEST_DROP_CAPS_H

#include <check.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void memlock_limit(rlim_t bytes)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	struct rlimit lim = {bytes, bytes};

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
	ck_assert_int_eq(syscall(SYS_capget, &head, caps), 0);
	caps[0].effective &= ~(1u << CAP_IPC_LOCK);
	ck_assert_int_eq(syscall(SYS_capset, &head, caps), 0);
}

#endif

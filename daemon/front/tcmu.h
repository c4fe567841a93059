/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's TCMU header. It brings linux/uio.h, whose struct iovec, the same as libc's, collides with it. */
#ifndef HBAD_FRONT_TCMU_H
#define HBAD_FRONT_TCMU_H

#include <sys/uio.h>
#define __LINUX_UIO_H
#include <linux/target_core_user.h>

#endif

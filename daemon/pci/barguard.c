/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SIGBUS of mapped registers. */
#include "barguard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/log.h"

#define MAX_GUARDED 64

/* start is written last and cleared first: the handler, on whatever thread, sees whole entries. */
static struct {
	atomic_uintptr_t start;
	size_t len;
	int wake_fd;
} guarded[MAX_GUARDED];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those who add and remove */
static struct sigaction before;
static size_t page_size;

/* --- in the handler: system calls only --- */

static int find(uintptr_t addr)
{
	for (int i = 0; i < MAX_GUARDED; i++) {
		uintptr_t start = atomic_load_explicit(&guarded[i].start, memory_order_acquire);

		if (start && addr >= start && addr - start < guarded[i].len)
			return i;
	}
	return -1;
}

/* In one step: who reads at this moment faults again, or sees ones. */
static bool replace(uintptr_t addr)
{
	void *page = (void *)(addr & ~(uintptr_t)(page_size - 1));
	void *ones = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ones == MAP_FAILED)
		return false;
	memset(ones, 0xff, page_size);
	return mremap(ones, page_size, page_size, MREMAP_MAYMOVE | MREMAP_FIXED, page) != MAP_FAILED;
}

/* Not of a register: whoever was there before decides, and at the end that is death. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
	else
		signal(sig, SIG_DFL); /* the access is tried again */
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	/* Sent by kill() it has no address. */
	int i = info->si_code > 0 ? find((uintptr_t)info->si_addr) : -1;
	uint64_t one = 1;
	ssize_t told = 0;

	if (i < 0 || !replace((uintptr_t)info->si_addr)) {
		pass_on(sig, info, context);
		return;
	}
	if (guarded[i].wake_fd >= 0)
		told = write(guarded[i].wake_fd, &one, sizeof(one));
	(void)told; /* a full eventfd is readable */
}

/* --- outside --- */

static void install(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_RESTART};

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGBUS, &sa, &before) < 0)
		log_warn("mapped registers of a device that is unplugged will end the process: no SIGBUS "
			 "handler");
}

void barguard_add(volatile void *addr, size_t len, int wake_fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MAX_GUARDED; i++) {
		if (atomic_load(&guarded[i].start))
			continue;
		guarded[i].len = len;
		guarded[i].wake_fd = wake_fd;
		atomic_store_explicit(&guarded[i].start, (uintptr_t)addr, memory_order_release);
		break;
	}
	pthread_mutex_unlock(&lock);
}

void barguard_remove(volatile void *addr)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MAX_GUARDED; i++)
		if (atomic_load(&guarded[i].start) == (uintptr_t)addr)
			atomic_store(&guarded[i].start, 0);
	pthread_mutex_unlock(&lock);
}

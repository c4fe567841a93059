/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One failing call at a time, and an account of what was taken. */
#include "steps.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"

#define MAX_STEPS 2000
#define MAX_TAKEN 8192

/* What the program's calls are linked to, and what they were meant for. */
#define WRAP(type, name, ...)                                                                                \
	type __real_##name(__VA_ARGS__);                                                                     \
	type __wrap_##name(__VA_ARGS__);                                                                     \
	type __wrap_##name(__VA_ARGS__)

static struct {
	unsigned calls, fail_at;
	const char *failed; /* the call that did */
} st;

static _Thread_local bool armed;      /* the thread that makes the attempt */
static _Thread_local unsigned paused; /* in the test's own business */
static atomic_bool counting;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const void *taken[MAX_TAKEN]; /* blocks and mappings */
static unsigned n_taken;
static int threads;

static void account(const void *add, const void *drop)
{
	if (paused)
		return;
	pthread_mutex_lock(&lock);
	for (unsigned i = n_taken; drop && i-- > 0;)
		if (taken[i] == drop) {
			taken[i] = taken[--n_taken];
			break;
		}
	if (add && n_taken == MAX_TAKEN)
		abort();
	if (add)
		taken[n_taken++] = add;
	pthread_mutex_unlock(&lock);
}

bool steps_fail_here(const char *name, int err)
{
	if (!armed || paused || ++st.calls != st.fail_at)
		return false;
	st.failed = name;
	errno = err;
	return true;
}

void steps_up(void)
{
	st.fail_at = 0;
}

void steps_pause(bool on)
{
	paused += on ? 1 : -1u;
}

/* Check allocates at each assertion. */
WRAP(void, _mark_point, const char *file, int line)
{
	paused++;
	__real__mark_point(file, line);
	paused--;
}

/* --- memory --- */

static void *block(void *p)
{
	if (p && atomic_load(&counting))
		account(p, NULL);
	return p;
}

WRAP(void *, calloc, size_t n, size_t size)
{
	return steps_fail_here("calloc", ENOMEM) ? NULL : block(__real_calloc(n, size));
}

WRAP(void *, malloc, size_t size)
{
	return steps_fail_here("malloc", ENOMEM) ? NULL : block(__real_malloc(size));
}

WRAP(void, free, void *p)
{
	if (p)
		account(NULL, p);
	__real_free(p);
}

WRAP(void *, mmap, void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p;

	if (steps_fail_here("mmap", ENOMEM))
		return MAP_FAILED;
	p = __real_mmap(at, len, prot, flags, fd, off);
	/* What is laid over another mapping goes away with that one. */
	if (p != MAP_FAILED && !(flags & MAP_FIXED) && atomic_load(&counting))
		account(p, NULL);
	return p;
}

WRAP(int, munmap, void *p, size_t len)
{
	account(NULL, p);
	return __real_munmap(p, len);
}

void *__real_mremap(void *old, size_t len, size_t new_len, int flags, ...);
void *__wrap_mremap(void *old, size_t len, size_t new_len, int flags, ...);
void *__wrap_mremap(void *old, size_t len, size_t new_len, int flags, ...)
{
	va_list ap;
	void *to;

	va_start(ap, flags);
	to = va_arg(ap, void *);
	va_end(ap);
	if (steps_fail_here("mremap", ENOMEM))
		return MAP_FAILED;
	account(NULL, old);
	return __real_mremap(old, len, new_len, flags, to);
}

WRAP(int, mprotect, void *p, size_t len, int prot)
{
	return steps_fail_here("mprotect", ENOMEM) ? -1 : __real_mprotect(p, len, prot);
}

WRAP(int, mlock, const void *p, size_t len)
{
	return steps_fail_here("mlock", ENOMEM) ? -1 : __real_mlock(p, len);
}

WRAP(int, madvise, void *p, size_t len, int advice)
{
	return steps_fail_here("madvise", EINVAL) ? -1 : __real_madvise(p, len, advice);
}

/* --- threads --- */

WRAP(int, pthread_create, pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	int r = steps_fail_here("pthread_create", EAGAIN) ? EAGAIN : __real_pthread_create(t, attr, run, arg);

	if (r == 0)
		__atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	return r;
}

static int joined(int r)
{
	if (r == 0)
		__atomic_sub_fetch(&threads, 1, __ATOMIC_RELAXED);
	return r;
}

WRAP(int, pthread_join, pthread_t t, void **ret)
{
	return joined(__real_pthread_join(t, ret));
}

WRAP(int, pthread_timedjoin_np, pthread_t t, void **ret, const struct timespec *until)
{
	return joined(__real_pthread_timedjoin_np(t, ret, until));
}

/* --- descriptors --- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return steps_fail_here("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}

/* Each of these takes at most one argument, which is passed on as it is. */
int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return steps_fail_here("fcntl", EMFILE) ? -1 : __real_fcntl(fd, cmd, arg);
}

#define WRAP_INT(name, err, params, args)                                                                    \
	int __real_##name params;                                                                            \
	int __wrap_##name params;                                                                            \
	int __wrap_##name params                                                                             \
	{                                                                                                    \
		return steps_fail_here(#name, err) ? -1 : __real_##name args;                                \
	}

WRAP_INT(socket, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
WRAP_INT(socketpair, EMFILE, (int domain, int type, int protocol, int *pair), (domain, type, protocol, pair))
WRAP_INT(accept4, EMFILE, (int fd, struct sockaddr *a, socklen_t *len, int flags), (fd, a, len, flags))
WRAP_INT(bind, EADDRINUSE, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
WRAP_INT(listen, EADDRINUSE, (int fd, int backlog), (fd, backlog))
WRAP_INT(connect, ECONNREFUSED, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
WRAP_INT(setsockopt, ENOMEM, (int fd, int level, int name, const void *v, socklen_t len),
	(fd, level, name, v, len))
WRAP_INT(getsockopt, ENOBUFS, (int fd, int level, int name, void *v, socklen_t *len),
	(fd, level, name, v, len))
WRAP_INT(eventfd, EMFILE, (unsigned n, int flags), (n, flags))
WRAP_INT(signalfd, EMFILE, (int fd, const sigset_t *set, int flags), (fd, set, flags))
WRAP_INT(epoll_create1, EMFILE, (int flags), (flags))
WRAP_INT(memfd_create, EMFILE, (const char *name, unsigned flags), (name, flags))
WRAP_INT(ftruncate, ENOSPC, (int fd, off_t len), (fd, len))
WRAP_INT(flock, ENOLCK, (int fd, int op), (fd, op))
WRAP_INT(fstat, EIO, (int fd, struct stat *s), (fd, s))
WRAP_INT(fchmod, EROFS, (int fd, mode_t mode), (fd, mode))
WRAP_INT(fsync, EIO, (int fd), (fd))
WRAP_INT(mkostemp, EMFILE, (char *path, int flags), (path, flags))
WRAP_INT(rename, EXDEV, (const char *from, const char *to), (from, to))
WRAP_INT(unlink, EROFS, (const char *path), (path))
WRAP_INT(dup3, EBUSY, (int from, int to, int flags), (from, to, flags))

WRAP(int, epoll_ctl, int epfd, int op, int fd, struct epoll_event *ev)
{
	/* Taking out never fails. */
	if (op == EPOLL_CTL_ADD && steps_fail_here("epoll_ctl", ENOSPC))
		return -1;
	return __real_epoll_ctl(epfd, op, fd, ev);
}

#define WRAP_SSIZE(name, err, params, args)                                                                  \
	ssize_t __real_##name params;                                                                        \
	ssize_t __wrap_##name params;                                                                        \
	ssize_t __wrap_##name params                                                                         \
	{                                                                                                    \
		return steps_fail_here(#name, err) ? -1 : __real_##name args;                                \
	}

WRAP_SSIZE(read, EIO, (int fd, void *p, size_t n), (fd, p, n))
WRAP_SSIZE(pread, EIO, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP_SSIZE(write, EIO, (int fd, const void *p, size_t n), (fd, p, n))
WRAP_SSIZE(pwrite, EIO, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP_SSIZE(sendmsg, ENOBUFS, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP_SSIZE(recvmsg, ENOMEM, (int fd, struct msghdr *m, int flags), (fd, m, flags))

WRAP(FILE *, fopen, const char *path, const char *mode)
{
	return steps_fail_here("fopen", EMFILE) ? NULL : __real_fopen(path, mode);
}

WRAP(DIR *, opendir, const char *path)
{
	return steps_fail_here("opendir", EMFILE) ? NULL : __real_opendir(path);
}

/* --- the account --- */

static unsigned count_fds(char *list, size_t size)
{
	char path[64], to[96];
	unsigned n = 0;

	list[0] = '\0';
	for (int fd = 0; fd < 1024; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, to, sizeof(to) - 1);
		if (len < 0)
			continue;
		to[len] = '\0';
		n++;
		if (strlen(list) + strlen(to) + 16 < size)
			sprintf(list + strlen(list), " %d:%s", fd, to);
	}
	return n;
}

static unsigned count_taken(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = n_taken;
	pthread_mutex_unlock(&lock);
	return n;
}

struct account {
	unsigned taken, fds;
	int threads;
	char fd_list[4096];
};

static void look(struct account *a)
{
	a->taken = count_taken();
	a->fds = count_fds(a->fd_list, sizeof(a->fd_list));
	a->threads = __atomic_load_n(&threads, __ATOMIC_RELAXED);
}

/* Another thread may let go of its share of a message a moment after this one. */
static void await(struct account *a, const struct account *before)
{
	const uint64_t until = clock_ns() + 20 * NS_PER_SEC;

	for (look(a); a->taken || a->fds != before->fds || a->threads != before->threads; look(a)) {
		if (clock_ns() > until)
			return;
		clock_sleep_ms(5);
	}
}

static bool is_dispensable(const struct steps *s, const char *name)
{
	for (const char *const *d = s->dispensable; d && *d; d++)
		if (strcmp(*d, name) == 0)
			return true;
	return false;
}

static int attempt(const struct steps *s, unsigned n, struct err *e)
{
	int r;

	st.calls = 0;
	st.fail_at = n;
	st.failed = NULL;
	armed = true;
	atomic_store(&counting, true);
	r = s->attempt(e);
	atomic_store(&counting, false);
	armed = false;
	return r;
}

static void one_step(const struct steps *s, unsigned n)
{
	struct account before, after;
	struct err e = {""};
	const char *failed;
	int r;

	look(&before);
	r = attempt(s, n, &e);
	failed = st.failed ? st.failed : "nothing";
	if (st.failed) {
		ck_assert_msg(r < 0 || is_dispensable(s, failed), "step %u: %s failed, and nobody noticed", n,
			failed);
		ck_assert_msg(r >= 0 || e.text[0], "step %u: %s failed, and no sentence says so", n, failed);
	} else {
		ck_assert_msg(r == 0, "nothing failed, but the whole did: %d, %s", r, e.text);
	}
	await(&after, &before);
	ck_assert_msg(after.taken == 0, "step %u (%s failed: %s): %u blocks or mappings are left", n, failed,
		e.text, after.taken);
	ck_assert_msg(after.fds == before.fds, "step %u (%s failed: %s): descriptors before:%s after:%s", n,
		failed, e.text, before.fd_list, after.fd_list);
	ck_assert_msg(after.threads == before.threads, "step %u (%s failed: %s): a thread is left", n, failed,
		e.text);
}

void steps_run(const struct steps *s)
{
	unsigned n;

	for (n = 1; n < MAX_STEPS; n++) {
		if (s->before)
			s->before();
		one_step(s, n);
		if (!st.failed)
			break;
	}
	ck_assert_uint_lt(n, MAX_STEPS);
	ck_assert_msg(n > s->at_least, "only %u steps", n - 1);
}

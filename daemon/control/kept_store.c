/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way through systemd's descriptor store: in by sd_notify(), out by LISTEN_FDS. Each descriptor has its name there. */
#include "kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/log.h"

/* systemd may be busy with a machine that starts, or is being upgraded itself. */
#define BARRIER_US UINT64_C(20000000)

#define NAME_LEN   24

enum { RECORD, CONTAINER, GROUP, DEVICE, MEMORY };

static void name_of(unsigned which, char ret[NAME_LEN])
{
	static const char *const names[] = {"hbad-record", "hbad-container", "hbad-group", "hbad-device"};

	if (which < MEMORY)
		snprintf(ret, NAME_LEN, "%s", names[which]);
	else
		snprintf(ret, NAME_LEN, "hbad-memory-%u", which - MEMORY);
}

void kept_init(struct kept *k)
{
	*k = (struct kept){.pci = {-1, -1, -1}};
	for (unsigned i = 0; i < HBA_FROZEN_ARENAS; i++)
		k->hba.arena[i].memfd = -1;
}

void kept_close(struct kept *k)
{
	hb_close(&k->pci.device);
	hb_close(&k->pci.group);
	hb_close(&k->pci.container);
	for (unsigned i = 0; i < HBA_FROZEN_ARENAS; i++)
		hb_close(&k->hba.arena[i].memfd);
}

static int *place_of(struct kept *k, int *record, unsigned which)
{
	switch (which) {
	case RECORD:
		return record;
	case CONTAINER:
		return &k->pci.container;
	case GROUP:
		return &k->pci.group;
	case DEVICE:
		return &k->pci.device;
	default:
		return &k->hba.arena[which - MEMORY].memfd;
	}
}

/* --- in --- */

int kept_store_check(struct err *e)
{
	/* systemd tells it from version 254 on; before, our unit does. */
	const char *text = getenv("FDSTORE");
	unsigned long room;

	if (!getenv("NOTIFY_SOCKET"))
		return err_set(
			e, -ENOTCONN, "hbad was not started by systemd: nobody would start the next one");
	if (!text)
		text = getenv("HBAD_FDSTORE");
	room = text ? strtoul(text, NULL, 10) : 0;
	if (!room)
		return err_set(e, -ENOTSUP,
			"the service was started without a descriptor store (FileDescriptorStoreMax= of "
			"hbad@.service)");
	if (room < KEPT_NAMES)
		return err_set(e, -ENOSPC,
			"the service's descriptor store has room for %lu (FileDescriptorStoreMax=), %u are "
			"needed",
			room, KEPT_NAMES);
	return 0;
}

static int remove_name(const char *name)
{
	char text[320];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return sd_notify(0, text);
}

/* 0: systemd has read all that it was sent. */
static int barrier(void)
{
	int r = sd_notify_barrier(0, BARRIER_US);

	return r > 0 ? 0 : r < 0 ? r : -ENOTCONN;
}

static int push(unsigned which, int fd, struct err *e)
{
	char name[NAME_LEN], text[80];
	int r;

	name_of(which, name);
	/* It would watch for a hang-up, and close it then. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	return r > 0 ? 0
		     : err_set(e, r < 0 ? r : -ENOTCONN, "systemd does not take descriptors: %s",
			       strerror(r < 0 ? -r : ENOTCONN));
}

static void take_back(unsigned n)
{
	char name[NAME_LEN];

	for (unsigned which = 0; which < n; which++) {
		name_of(which, name);
		remove_name(name);
	}
	if (barrier() < 0)
		log_warn("systemd may still have the device open");
}

int kept_store(const struct kept *k, struct err *e)
{
	struct kept copy = *k;
	unsigned n = MEMORY + k->hba.n_arenas;
	hb_autoclose int record = -1;
	int r = kept_write_record(k, &record, e);

	if (r < 0)
		return r;
	/* The record, which is the first, goes last: what is there without it is not looked at. */
	for (unsigned which = n; r == 0 && which-- > 0;)
		r = push(which, *place_of(&copy, &record, which), e);
	if (r == 0) {
		r = barrier();
		if (r < 0)
			err_set(e, r, "systemd does not answer: %s", strerror(-r));
	}
	if (r < 0)
		take_back(n);
	return r;
}

/* --- out --- */

static int find_name(const char *name)
{
	char known[NAME_LEN];

	for (unsigned which = 0; which < KEPT_NAMES; which++) {
		name_of(which, known);
		if (strcmp(known, name) == 0)
			return (int)which;
	}
	return -1;
}

/* One of each, and arenas without a gap. */
static int check_set(struct kept *k, int *record, struct err *e)
{
	char name[NAME_LEN];
	unsigned n = 0;

	for (unsigned which = 0; which < MEMORY; which++) {
		name_of(which, name);
		if (*place_of(k, record, which) < 0)
			return err_set(e, -EBADMSG, "of what the hbad before has left, %s is missing", name);
	}
	while (n < HBA_FROZEN_ARENAS && k->hba.arena[n].memfd >= 0)
		n++;
	k->hba.n_arenas = n;
	for (; n < HBA_FROZEN_ARENAS; n++)
		if (k->hba.arena[n].memfd >= 0)
			return err_set(e, -EBADMSG,
				"of the memory that the hbad before has left, some is "
				"missing");
	return 0;
}

int kept_sort(char *const *names, unsigned n, int first, struct kept *ret, int *ret_record, struct err *e)
{
	hb_autoclose int record = -1;
	int r = 0;

	kept_init(ret);
	for (unsigned i = 0; i < n; i++) {
		int fd = first + (int)i, which = find_name(names[i]);
		int *place = which < 0 ? NULL : place_of(ret, &record, (unsigned)which);

		if (place && *place < 0) {
			*place = fd;
			continue;
		}
		if (r == 0)
			r = err_set(e, -EBADMSG, "systemd has kept a descriptor %s \"%.40s\"",
				place ? "more, named" : "with the unknown name", names[i]);
		hb_close(&fd);
	}
	if (r == 0)
		r = check_set(ret, &record, e);
	if (r < 0)
		kept_close(ret);
	else
		*ret_record = TAKE_FD(record);
	return r;
}

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

/* 0: systemd has none of them any more. */
static int forget(char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		remove_name(names[i]);
	return barrier();
}

static int read_kept(int record, struct kept *k, struct err *e)
{
	unsigned n = k->hba.n_arenas; /* that there are descriptors for */
	int r = kept_read_record(record, k, e);

	if (r == 0 && k->hba.n_arenas != n)
		r = err_set(e, -EBADMSG, "the hbad before has left %u pieces of memory, and says %u", n,
			k->hba.n_arenas);
	return r;
}

int kept_take(struct kept *ret, struct err *e)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);
	hb_autoclose int record = -1;
	int r, gone;

	if (n <= 0)
		return n < 0 ? err_set(e, n, "LISTEN_FDS makes no sense: %s", strerror(-n)) : -ENOENT;
	gone = forget(names, (unsigned)n);
	r = kept_sort(names, (unsigned)n, SD_LISTEN_FDS_START, ret, &record, e);
	free_names(names);
	if (r < 0)
		return r;
	/* Two would have it: a crash of this one would not stop the device. */
	if (gone < 0)
		r = err_set(e, gone, "systemd does not let go of what it has kept: %s", strerror(-gone));
	if (r == 0)
		r = read_kept(record, ret, e);
	if (r < 0)
		kept_close(ret);
	return r;
}

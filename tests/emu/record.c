/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of a capture, as the device writes it. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/endian.h"
#include "base/log.h"
#include "pcifn.h"

struct record {
	FILE *f;
	uint64_t size, began;
	uint32_t crc, seq;
	enum capture_why why; /* not CAPTURE_CLOSED: nothing more is written */
};

static void put(struct record *r, const void *data, size_t len)
{
	if (fwrite(data, 1, len, r->f) != len) {
		log_warn("the capture cannot be written: %s", strerror(errno));
		r->why = CAPTURE_FAILED;
		return;
	}
	r->crc = capture_crc(r->crc, data, len);
	r->size += len;
}

/* Two parts of a payload, either of them perhaps empty. */
static void add(struct record *r, uint8_t type, uint8_t arg, const void *a, uint32_t a_len, const void *b,
	uint32_t b_len)
{
	static const uint8_t zero[8];
	const uint32_t len = a_len + b_len;
	const struct capture_record head = {
		.type = type,
		.arg = arg,
		.len = htole16((uint16_t)len),
		.seq = htole32(r->seq),
		.time_ns = htole64(clock_ns() - r->began),
	};

	/* The end needs room, too. */
	if (r->why == CAPTURE_CLOSED && r->size + sizeof(head) + CAPTURE_PAD(len) > RECORD_MAX - 64) {
		log_info("the capture is full: what follows is not in it");
		r->why = CAPTURE_FULL;
	}
	if (r->why != CAPTURE_CLOSED)
		return;
	r->seq++;
	put(r, &head, sizeof(head));
	put(r, a, a_len);
	if (b_len)
		put(r, b, b_len);
	put(r, zero, CAPTURE_PAD(len) - len);
}

static uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void put_header(struct record *r, const struct pcifn *fn)
{
	const struct model_pci *pci = &fn->model->pci;
	struct capture_header h = {
		.magic = CAPTURE_MAGIC,
		.major = htole16(CAPTURE_MAJOR),
		.minor = htole16(CAPTURE_MINOR),
		.header_len = htole32(sizeof(h)),
		.realtime_ns = htole64(realtime_ns()),
		.vendor = htole16(pci->vendor),
		.device = htole16(pci->device),
		.subvendor = htole16(pci->subvendor),
		.subdevice = htole16(pci->subdevice),
		.class_rev = htole32(pci->class_code << 8 | pci->revision),
		.n_vectors = {htole32(1), htole32(pci->n_msi), htole32(pci->n_msix)},
		.dma_page = htole64(4096),
		.program = "hba-emu " HBAD_VERSION,
		.transport = "vfio-user",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(pci->bar); i++)
		h.bar_size[i] = htole64(pci->bar[i].size);
	memcpy(h.config, fn->cfg, sizeof(h.config));
	put(r, &h, sizeof(h));
}

int record_open(const char *path, const struct pcifn *fn, struct record **ret, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct record *r = calloc(1, sizeof(*r));

	if (fd < 0 || !r || fchmod(fd, 0600) < 0 || !(r->f = fdopen(fd, "w"))) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		free(r);
		return err_set(e, err, "cannot write the capture %s: %s", path, strerror(-err));
	}
	r->began = clock_ns();
	put_header(r, fn);
	*ret = r;
	return 0;
}

void record_close(struct record *r)
{
	struct capture_end end;
	struct capture_record head;

	if (!r)
		return;
	end = (struct capture_end){
		.records = htole64(r->seq), .crc = htole32(r->crc), .why = htole32(r->why)};
	head = (struct capture_record){.type = CAPTURE_END,
		.len = htole16(sizeof(end)),
		.seq = htole32(r->seq),
		.time_ns = htole64(clock_ns() - r->began)};
	if (r->why != CAPTURE_FAILED) {
		put(r, &head, sizeof(head));
		put(r, &end, sizeof(end));
	}
	if (fclose(r->f) != 0)
		log_warn("the capture is not complete: %s", strerror(errno));
	free(r);
}

void record_access(struct record *r, enum capture_type type, unsigned bar, uint64_t off, const void *value,
	uint32_t width)
{
	struct capture_reg reg = {.off = htole32((uint32_t)off)};

	if (!r || !width || width > sizeof(reg.value) || (width & (width - 1)))
		return;
	memcpy(&reg.value, value, width);
	add(r, (uint8_t)type,
		type == CAPTURE_READ || type == CAPTURE_WRITE ? CAPTURE_ARG(bar, width) : (uint8_t)width,
		&reg, sizeof(reg), NULL, 0);
}

void record_mem(struct record *r, enum capture_type type, uint64_t addr, const void *buf, uint32_t len)
{
	const uint64_t at = htole64(addr);

	if (r)
		add(r, (uint8_t)type, len > RECORD_MEM, &at, sizeof(at), buf, MIN(len, (uint32_t)RECORD_MEM));
}

void record_irq(struct record *r, uint8_t kind, uint32_t vector)
{
	const struct capture_irq irq = {htole32(vector), htole32(1)};

	if (r)
		add(r, CAPTURE_IRQ, kind, &irq, sizeof(irq), NULL, 0);
}

void record_reset(struct record *r)
{
	if (r)
		add(r, CAPTURE_RESET, 0, "", 0, NULL, 0);
}

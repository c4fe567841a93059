/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of a vfio-user client, one function each. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vu_server.h"

static int broken(struct vu_server *s, const char *why)
{
	if (!s->conn.broken)
		s->conn.broken = why;
	return -EPROTO;
}

static int reply(struct vu_server *s, const struct vu_msg *m, const void *a, size_t len)
{
	return vu_conn_reply(&s->conn, &m->h, a, len, NULL, 0, -1);
}

static int cmd_version(struct vu_server *s, struct vu_msg *m)
{
	struct vu_version v;
	struct vu_caps caps;
	char text[256];
	uint32_t len;

	if (s->negotiated)
		return broken(s, "a second negotiation");
	memcpy(&v, m->data, sizeof(v));
	if (v.major != VU_MAJOR)
		return broken(s, "a protocol major that is not ours");
	if (vu_caps_parse((const char *)m->data + sizeof(v), m->len - (uint32_t)sizeof(v), &caps) < 0)
		return broken(s, "capabilities that are not a JSON text of the specification");
	v.minor = MIN(v.minor, VU_MINOR);
	s->conn.peer_max_fds = caps.max_fds;
	s->conn.peer_max_xfer = MIN(caps.max_xfer, VU_SERVER_MAX_XFER);
	s->negotiated = true;
	len = vu_caps_text(&caps, text, sizeof(text));
	loop_disarm(&s->hello);
	return vu_conn_reply(&s->conn, &m->h, &v, sizeof(v), text, len, -1);
}

static int cmd_dma_map(struct vu_server *s, struct vu_msg *m)
{
	struct vu_dma_map map;
	int r;

	memcpy(&map, m->data, sizeof(map));
	if (m->n_fds > 1)
		return broken(s, "DMA_MAP with several descriptors");
	r = vu_dma_map(&s->dma, &map, m->n_fds ? m->fd[0] : -1);
	if (r != 0) {
		log_debug("DMA_MAP of %" PRIu64 " bytes at 0x%" PRIx64 ": %s", map.size, map.addr,
			r > 0 ? "it is mapped already" : strerror(-r));
		s->stats->odd_maps++;
	}
	return r < 0 ? vu_conn_reply_error(&s->conn, &m->h, -r) : reply(s, m, NULL, 0);
}

static int cmd_dma_unmap(struct vu_server *s, struct vu_msg *m)
{
	struct vu_dma_unmap u;
	int r;

	memcpy(&u, m->data, sizeof(u));
	if (u.flags & 2 && !u.addr && !u.size) {
		vu_dma_clear(&s->dma);
		return reply(s, m, &u, sizeof(u));
	}
	r = vu_dma_unmap(&s->dma, u.addr, u.size);
	if (r < 0) {
		log_debug(
			"DMA_UNMAP of %" PRIu64 " bytes at 0x%" PRIx64 ": %s", u.size, u.addr, strerror(-r));
		s->stats->odd_maps++;
	}
	/* QEMU unmaps some things twice. What is gone is gone; a part of a mapping is refused. */
	return r == -EINVAL ? vu_conn_reply_error(&s->conn, &m->h, -r) : reply(s, m, &u, sizeof(u));
}

static int cmd_device_info(struct vu_server *s, struct vu_msg *m)
{
	struct vu_device_info i = {
		.argsz = sizeof(i),
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
	};

	return reply(s, m, &i, sizeof(i));
}

static int cmd_region_info(struct vu_server *s, struct vu_msg *m)
{
	struct vu_region_info i;
	int fd;

	memcpy(&i, m->data, sizeof(i));
	if (i.index >= VFIO_PCI_NUM_REGIONS)
		return vu_conn_reply_error(&s->conn, &m->h, EINVAL);
	i = (struct vu_region_info){.argsz = sizeof(i), .index = i.index};
	i.size = pcifn_region(s->fn, i.index, &i.flags, &fd);
	return vu_conn_reply(&s->conn, &m->h, &i, sizeof(i), NULL, 0, fd);
}

static int cmd_irq_info(struct vu_server *s, struct vu_msg *m)
{
	struct vu_irq_info i;

	memcpy(&i, m->data, sizeof(i));
	if (i.index >= VFIO_PCI_NUM_IRQS)
		return vu_conn_reply_error(&s->conn, &m->h, EINVAL);
	i.argsz = sizeof(i);
	i.count = pcifn_irqs(s->fn, i.index, &i.flags);
	return reply(s, m, &i, sizeof(i));
}

/* --- SET_IRQS --- */

/* Descriptors or none: who is told of a trigger. */
static int set_eventfds(struct vu_server *s, const struct vu_irq_set *q, struct vu_msg *m)
{
	if ((q->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTSUP; /* nobody wants to be told of masking */
	if (m->n_fds && m->n_fds != q->count)
		return -EINVAL;
	for (uint32_t i = 0; i < q->count; i++) {
		pcifn_irq_set(s->fn, q->index, q->start + i, m->n_fds ? m->fd[i] : -1);
		if (m->n_fds)
			m->fd[i] = -1;
	}
	return 0;
}

static int act(struct vu_server *s, const struct vu_irq_set *q, uint32_t vector)
{
	switch (q->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		pcifn_irq_trigger(s->fn, q->index, vector);
		return 0;
	case VFIO_IRQ_SET_ACTION_MASK:
	case VFIO_IRQ_SET_ACTION_UNMASK:
		if (q->index != VFIO_PCI_INTX_IRQ_INDEX)
			return -EINVAL;
		pcifn_line_mask(
			s->fn, (q->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) == VFIO_IRQ_SET_ACTION_MASK);
		return 0;
	}
	return -EINVAL;
}

static int set_irqs(struct vu_server *s, const struct vu_irq_set *q, struct vu_msg *m)
{
	uint32_t data = q->flags & VFIO_IRQ_SET_DATA_TYPE_MASK, flags;
	unsigned have = q->index < VFIO_PCI_NUM_IRQS ? pcifn_irqs(s->fn, q->index, &flags) : 0;
	int r = 0;

	if (!have || q->start > have || q->count > have - q->start)
		return -EINVAL;
	if (data == VFIO_IRQ_SET_DATA_EVENTFD)
		return set_eventfds(s, q, m);
	if (data == VFIO_IRQ_SET_DATA_BOOL && m->len - sizeof(*q) < q->count)
		return -EINVAL;
	if (data != VFIO_IRQ_SET_DATA_BOOL && data != VFIO_IRQ_SET_DATA_NONE)
		return -EINVAL;
	if (data == VFIO_IRQ_SET_DATA_NONE && !q->count) {
		for (unsigned i = 0; i < have; i++)
			pcifn_irq_set(s->fn, q->index, i, -1);
		return 0;
	}
	for (uint32_t i = 0; i < q->count && r == 0; i++)
		if (data == VFIO_IRQ_SET_DATA_NONE || m->data[sizeof(*q) + i])
			r = act(s, q, q->start + i);
	return r;
}

static int cmd_set_irqs(struct vu_server *s, struct vu_msg *m)
{
	struct vu_irq_set q;
	int r;

	memcpy(&q, m->data, sizeof(q));
	r = set_irqs(s, &q, m);
	return r < 0 ? vu_conn_reply_error(&s->conn, &m->h, -r) : reply(s, m, NULL, 0);
}

/* --- regions --- */

static int cmd_region_read(struct vu_server *s, struct vu_msg *m)
{
	struct vu_region_access a;
	uint8_t small[64], *buf = small;
	int r;

	memcpy(&a, m->data, sizeof(a));
	if (a.count > VU_SERVER_MAX_XFER)
		return broken(s, "a region read of more than max_data_xfer_size");
	if (a.count > sizeof(small))
		buf = malloc(a.count);
	r = buf ? pcifn_read(s->fn, a.region, a.offset, buf, a.count) : -ENOMEM;
	if (r < 0)
		r = vu_conn_reply_error(&s->conn, &m->h, -r);
	else
		r = vu_conn_reply(&s->conn, &m->h, &a, sizeof(a), buf, a.count, -1);
	if (buf != small)
		free(buf);
	return r;
}

static int cmd_region_write(struct vu_server *s, struct vu_msg *m)
{
	struct vu_region_access a;
	int r;

	memcpy(&a, m->data, sizeof(a));
	if (m->len - sizeof(a) != a.count)
		return broken(s, "a region write whose count is not its data's length");
	r = pcifn_write(s->fn, a.region, a.offset, m->data + sizeof(a), a.count);
	return r < 0 ? vu_conn_reply_error(&s->conn, &m->h, -r) : reply(s, m, &a, sizeof(a));
}

static int cmd_write_multi(struct vu_server *s, struct vu_msg *m)
{
	uint64_t count;
	int r = 0;

	memcpy(&count, m->data, sizeof(count));
	if (count > VU_MAX_MESSAGE || m->len - sizeof(count) != count * sizeof(struct vu_write_one))
		return broken(s, "a multiple write whose count is not its data's length");
	for (uint64_t i = 0; i < count && r == 0; i++) {
		struct vu_write_one w;

		memcpy(&w, m->data + sizeof(count) + i * sizeof(w), sizeof(w));
		r = w.count <= sizeof(w.data) ? pcifn_write(s->fn, w.region, w.offset, w.data, w.count)
					      : -EINVAL;
	}
	return r < 0 ? vu_conn_reply_error(&s->conn, &m->h, -r) : reply(s, m, &count, sizeof(count));
}

static int cmd_reset(struct vu_server *s, struct vu_msg *m)
{
	log_info("the client resets the function");
	pcifn_reset(s->fn, RESET_FUNCTION);
	if (!s->fn->reset_ms)
		return reply(s, m, NULL, 0);
	vu_server_reset_lasts(s, &m->h, s->fn->reset_ms);
	return 0;
}

static const struct {
	int (*run)(struct vu_server *s, struct vu_msg *m);
	uint32_t least; /* bytes of payload */
	bool fds;	/* may carry descriptors */
} commands[] = {
	[VU_VERSION] = {cmd_version, sizeof(struct vu_version), false},
	[VU_DMA_MAP] = {cmd_dma_map, sizeof(struct vu_dma_map), true},
	[VU_DMA_UNMAP] = {cmd_dma_unmap, sizeof(struct vu_dma_unmap), false},
	[VU_DEVICE_GET_INFO] = {cmd_device_info, sizeof(uint32_t), false},
	[VU_DEVICE_GET_REGION_INFO] = {cmd_region_info, sizeof(struct vu_region_info), false},
	[VU_DEVICE_GET_IRQ_INFO] = {cmd_irq_info, sizeof(struct vu_irq_info), false},
	[VU_DEVICE_SET_IRQS] = {cmd_set_irqs, sizeof(struct vu_irq_set), true},
	[VU_REGION_READ] = {cmd_region_read, sizeof(struct vu_region_access), false},
	[VU_REGION_WRITE] = {cmd_region_write, sizeof(struct vu_region_access), false},
	[VU_DEVICE_RESET] = {cmd_reset, 0, false},
	[VU_REGION_WRITE_MULTI] = {cmd_write_multi, sizeof(uint64_t), false},
};

int vu_command(struct vu_server *s, struct vu_msg *m)
{
	if (!s->negotiated && m->h.cmd != VU_VERSION)
		return broken(s, "a command before the negotiation");
	if (m->h.cmd >= ARRAY_SIZE(commands) || !commands[m->h.cmd].run)
		return vu_conn_reply_error(&s->conn, &m->h, ENOTSUP);
	if (m->len < commands[m->h.cmd].least)
		return broken(s, "a command that is shorter than its payload");
	if (m->n_fds && !commands[m->h.cmd].fds)
		return broken(s, "descriptors where none belong");
	return commands[m->h.cmd].run(s, m);
}

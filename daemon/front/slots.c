/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command slots and iovec storage. */
#include "slots.h"

#include <errno.h>

/* Largest list of each class; the last takes whatever the largest data area can hold. */
static const uint32_t class_size[FRONT_IOV_CLASSES] = {FRONT_INLINE_IOV, 64, 512, 4096, 32768, UINT32_MAX};

static_assert(RING_CDB_MAX == SCSI_MAX_CDB, "a CDB fits");
static_assert(RING_SENSE_SIZE == SCSI_SENSE_SIZE, "sense fits");

int slots_init(struct slots *s, uint64_t data_bytes)
{
	const uint64_t blocks = DIV_ROUND_UP(data_bytes, FRONT_BLOCK);
	int ret;

	*s = (struct slots){0};
	ret = pool_init(&s->cmds, sizeof(struct front_cmd), FRONT_SLOTS);
	for (unsigned k = 1; ret == 0 && k < FRONT_IOV_CLASSES; k++) {
		uint64_t longest = MIN((uint64_t)class_size[k], blocks);
		uint64_t lists = MIN(blocks / ((uint64_t)class_size[k - 1] + 1), (uint64_t)FRONT_SLOTS);

		ret = pool_init(&s->iovs[k], longest * sizeof(struct iovec), (uint32_t)lists);
	}
	if (ret == 0)
		s->by_id = pool_map(FRONT_SLOTS * sizeof(*s->by_id));
	if (!s->by_id) {
		slots_fini(s);
		return -ENOMEM;
	}
	pool_prefault(&s->cmds, FRONT_PREFAULT);
	pool_prefault(&s->iovs[1], FRONT_PREFAULT / 8);
	for (unsigned i = 0; i < FRONT_PREFAULT; i++)
		((volatile uint32_t *)s->by_id)[i] = 0;
	return 0;
}

void slots_fini(struct slots *s)
{
	pool_fini(&s->cmds);
	for (unsigned k = 1; k < FRONT_IOV_CLASSES; k++)
		pool_fini(&s->iovs[k]);
	pool_unmap(s->by_id, FRONT_SLOTS * sizeof(*s->by_id));
	s->by_id = NULL;
}

/* False when no class has room: such a list cannot exist beside the others. */
static bool get_iovs(struct slots *s, struct front_cmd *c, uint32_t n, struct iovec **ret_iov)
{
	c->iov_class = 0;
	*ret_iov = c->inline_iov;
	if (n <= FRONT_INLINE_IOV)
		return true;
	for (uint8_t k = 1; k < FRONT_IOV_CLASSES; k++) {
		if (n * sizeof(struct iovec) > s->iovs[k].elem_size)
			continue;
		c->iov_index = pool_get(&s->iovs[k]);
		if (c->iov_index == POOL_NONE)
			return false;
		c->iov_class = k;
		*ret_iov = pool_at(&s->iovs[k], c->iov_index);
		return true;
	}
	return false;
}

struct front_cmd *slots_get(struct slots *s, uint16_t id, uint32_t n_iov, struct iovec **ret_iov)
{
	struct front_cmd *c;
	uint32_t i;

	assert(!s->by_id[id]);
	/* Fewer ids than slots: one is free. */
	i = pool_get(&s->cmds);
	assert(i != POOL_NONE);
	c = pool_at(&s->cmds, i);
	if (!get_iovs(s, c, n_iov, ret_iov)) {
		pool_put(&s->cmds, i);
		return NULL;
	}
	c->index = i;
	c->generation++;
	c->id = id;
	c->named_ns = 0;
	c->aborted = false;
	list_init(&c->link);
	s->by_id[id] = i + 1;
	return c;
}

void slots_put(struct slots *s, struct front_cmd *c)
{
	assert(c->generation & 1 && s->by_id[c->id] == c->index + 1);
	s->by_id[c->id] = 0;
	c->generation++;
	c->state = FRONT_CMD_FREE;
	if (c->iov_class)
		pool_put(&s->iovs[c->iov_class], c->iov_index);
	pool_put(&s->cmds, c->index);
}

struct front_cmd *slots_find(const struct slots *s, uint16_t id)
{
	return s->by_id[id] ? pool_at(&s->cmds, s->by_id[id] - 1) : NULL;
}

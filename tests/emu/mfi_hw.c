/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS2108 as the bus sees it: registers, interrupts, and the model's table. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mfi.h"

struct ctrl {
	struct mfi mfi;
};

struct mfi *mfi_of(struct ctrl *c)
{
	return &c->mfi;
}

void mfi_protocol_error(struct mfi *m, const char *fmt, ...)
{
	static struct log_limit limit;
	char text[200];
	va_list ap;

	m->env->stats->protocol_errors++;
	if (!log_limit_ok(&limit, 20, 10 * NS_PER_SEC))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("%s: the driver is wrong: %s", m->fam->name, text);
}

/* --- interrupts [2.4]: a message when the first unmasked bit comes up, a line while one is --- */

void mfi_intr_look(struct mfi *m)
{
	bool up = m->intr_status & ~m->intr_mask;

	m->env->bus->ops->line(m->env->bus, up);
	if (up && !m->raised)
		m->env->bus->ops->message(m->env->bus, 0);
	m->raised = up;
}

void mfi_intr_raise(struct mfi *m, uint32_t bit)
{
	m->intr_status |= bit;
	m->fam->look(m);
}

void mfi_set_state(struct mfi *m, enum fw_state state, uint32_t low)
{
	bool fault = state == FW_FAULT && m->state != FW_FAULT;

	if (state != m->state)
		log_debug("%s: firmware state %x -> %x", m->fam->name, m->state, state);
	m->state = state;
	m->state_low = low;
	if (fault)
		mfi_intr_raise(m, m->fam->intr_state);
}

/* [2.1] */
uint32_t mfi_state_word(const struct mfi *m)
{
	uint32_t word = (uint32_t)m->state << 28;

	if (m->state == FW_READY || m->state == FW_OPERATIONAL)
		return word | STATE_BIT26 | m->env->opt.max_sge << 16 | m->env->opt.max_cmds;
	return word | m->state_low;
}

void mfi_fault(struct ctrl *c, uint16_t code)
{
	log_info("%s: firmware faults, code %03x", mfi_of(c)->fam->name, code & 0xfff);
	clockwork_stop(&mfi_of(c)->boot);
	/* adapter reset permitted, reset required [2.1] */
	mfi_set_state(mfi_of(c), FW_FAULT, (uint32_t)(code & 0xfff) << 16 | 0x3);
}

/* --- registers --- */

static uint32_t reg_read(struct ctrl *c, unsigned bar, uint32_t off)
{
	struct mfi *m = mfi_of(c);

	switch (off) {
	case REG_INTR_STATUS:
		return m->intr_status;
	case REG_INTR_MASK:
		return m->intr_mask;
	case REG_STATE:
		return mfi_state_word(m);
	case REG_DIAG:
		return m->diag;
	default:
		return 0;
	}
}

void mfi_key(struct mfi *m, uint32_t val)
{
	const struct family *f = m->fam;

	if (val == f->key[m->key_at])
		m->key_at++;
	else
		m->key_at = val == f->key[0];
	if (m->key_at < f->key_len)
		return;
	m->key_at = 0;
	m->diag |= DIAG_WRITE_ENABLED;
}

void mfi_diag(struct mfi *m, uint32_t val)
{
	if (!(m->diag & DIAG_WRITE_ENABLED) || !(val & DIAG_RESET))
		return;
	log_info("%s: adapter reset by the diagnostic register", m->fam->name);
	m->diag = DIAG_RESET;
	m->env->stats->resets++;
	mfi_boot(m, false);
}

static void reg_write(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val)
{
	struct mfi *m = mfi_of(c);

	switch (off) {
	case REG_DOORBELL:
		mfi_boot_doorbell(m, val);
		break;
	case REG_INTR_MASK:
		m->intr_mask = val;
		mfi_intr_look(m);
		break;
	case REG_ACK:
		m->intr_status &= ~val;
		mfi_intr_look(m);
		break;
	case REG_QUEUE:
		mfi_queue_push(m, val);
		break;
	case REG_KEY:
		mfi_key(m, val);
		break;
	case REG_DIAG:
		mfi_diag(m, val);
		break;
	}
}

/* --- life --- */

int mfi_create(
	struct model_env *env, const struct family *fam, struct fusion *fx, struct ctrl **ret, struct err *e)
{
	struct ctrl *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->mfi.env = env;
	c->mfi.fam = fam;
	c->mfi.fx = fx;
	r = mfi_queue_init(mfi_of(c));
	if (r < 0) {
		free(c);
		return err_set(e, r, "out of memory");
	}
	mfi_events_init(mfi_of(c));
	mfi_boot(mfi_of(c), true);
	*ret = c;
	return 0;
}

void mfi_destroy(struct ctrl *c)
{
	struct mfi *m = mfi_of(c);

	clockwork_stop(&m->boot);
	for (unsigned i = 0; i < ARRAY_SIZE(m->late); i++)
		clockwork_stop(&m->late[i].timer);
	mfi_queue_fini(m);
	free(m->fx);
	free(c);
}

void mfi_reset(struct ctrl *c, enum reset_kind kind)
{
	mfi_of(c)->env->stats->resets++;
	mfi_boot(mfi_of(c), kind == RESET_POWER);
}

bool mfi_work(struct ctrl *c)
{
	return mfi_queue_work(mfi_of(c));
}

void mfi_irq_changed(struct ctrl *c)
{
	mfi_of(c)->raised = false;
	mfi_intr_look(mfi_of(c));
}

/* [4.7] */
void mfi_unit_changed(struct ctrl *c, struct unit *u, enum unit_change what)
{
	static const struct {
		uint32_t ld, pd;
		const char *text;
	} codes[] = {
		[UNIT_ADDED] = {0x8a, 0x5b, "added"},
		[UNIT_REMOVED] = {0x8b, 0x70, "removed"},
		[UNIT_RESIZED] = {0x51, 0x72, "resized"},
		[UNIT_STATE] = {0x51, 0x72, "state changed"},
	};
	bool ld = u->kind == UNIT_LD;
	char text[64];

	snprintf(text, sizeof(text), "%s %s", u->name, codes[what].text);
	if (ld && mfi_of(c)->fam->maps)
		mfi_map_changed(mfi_of(c));
	if (!ld && mfi_of(c)->fam->maps)
		mfi_pd_changed(mfi_of(c), u, what);
	mfi_event(mfi_of(c), ld ? codes[what].ld : codes[what].pd, 0, ld ? LOCALE_LD : LOCALE_PD, u, text);
}

int mfi_event_storm(struct ctrl *c, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		mfi_event(mfi_of(c), 0x12f, 0, LOCALE_CTRL, NULL, "controller properties changed");
	return 0;
}

void mfi_describe(const struct ctrl *c, char *buf, size_t size)
{
	const struct mfi *m = &c->mfi;

	snprintf(buf, size,
		"\"state\":\"%08x\",\"in_flight\":%u,\"most_in_flight\":%u,\"event_wait\":%s,\"next_event\":%"
		"u",
		mfi_state_word(m), m->n_flying, m->most_flying, m->aen ? "true" : "false", m->next_seq);
}

static int create(struct model_env *env, struct ctrl **ret, struct err *e)
{
	return mfi_create(env, &family_sas2108, NULL, ret, e);
}

extern const struct model model_sas2108;
const struct model model_sas2108 = {
	.name = "sas2108",
	.about = "LSI MegaRAID SAS 9260-8i (SAS2108, MFI)",
	.pci =
		{
			.vendor = 0x1000,
			.device = 0x0079,
			.subvendor = 0x1000,
			.subdevice = 0x9261,
			.class_code = 0x010400,
			.revision = 5,
			.bar =
				{
					[0] = {.size = 256, .io = true},
					[1] = {.size = 16384, .wide = true},
					[3] = {.size = 262144, .wide = true, .shared = true},
				},
			.n_msi = 1,
			.n_msix = 1,
			.msix_bar = 1,
			.msix_table = 0x2000,
			.msix_pba = 0x3800,
		},
	.create = create,
	.destroy = mfi_destroy,
	.read = reg_read,
	.write = reg_write,
	.reset = mfi_reset,
	.work = mfi_work,
	.irq_changed = mfi_irq_changed,
	.unit_changed = mfi_unit_changed,
	.event_storm = mfi_event_storm,
	.fault = mfi_fault,
	.describe = mfi_describe,
};

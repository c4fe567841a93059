/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The callbacks. All run in the runner's main thread, close() in a thread that the main thread waits for; the runner
 * serves all its handlers from there, so each of them ends within a deadline (hazard H24).
 */
#include "handler.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "hello.h"
#include "hlog.h"
#include "instance.h"
#include "tcmu_abi.h"
#include "timing.h"

static bool hba_check_config(const char *cfgstring, char **reason)
{
	struct err e = {""};

	if (!check_configuration(cfgstring, &e))
		return true;
	/* The runner's own line about it is cut at 255 bytes. */
	hlog_err("%s: %s", cfgstring, e.text);
	if (asprintf(reason, "%s", e.text) < 0)
		*reason = NULL;
	return false;
}

/* --- open --- */

/* May open() fail after this offer? If not, the device is taken with its gate closed. */
static bool may_fail(struct device *d, enum offer o)
{
	bool settled = device_settle(d, o);

	/* The runner tries a known device once and then opens its gate with nobody behind it (H6). */
	return settled && !d->known;
}

static void say_closed(const struct device *d, const struct err *e)
{
	if (d->known)
		hlog_warn("%s (%s) is taken with its gate closed until hbad serves it: %s", d->name,
			d->cfg.text, e->text);
	else
		hlog_err("ALARM: %s (%s) was created with its gate closed: hbad may have its ring mapped, so "
			 "that the create could not be undone: %s",
			d->name, d->cfg.text, e->text);
}

/* The runner has one thread for all handlers (H24): an hbad that gives no answer is waited for with one device, not with
 * each. The watcher offers the others to it. */
static enum offer offer_in_turn(struct device *d, struct instance *i, struct err *e)
{
	uint64_t start = clock_ns();
	enum offer o;

	if (d->known && i->mute_ns && start < i->mute_ns + timing.mute * NS_PER_MS) {
		err_set(e, -ETIMEDOUT, "hbad@%s did not answer a moment ago", d->cfg.instance);
		return OFFER_ABSENT;
	}
	o = device_offer(d, e);
	if (o != OFFER_SERVED && o != OFFER_REFUSED && clock_ns() >= start + timing.call * NS_PER_MS)
		i->mute_ns = clock_ns();
	return o;
}

static int hand_over(struct device *d, struct instance *i, struct err *e)
{
	enum offer o = offer_in_turn(d, i, e);
	int r;

	if (o == OFFER_SERVED) {
		hlog_info("%s (%s) is served by hbad@%s, process %d", d->name, d->cfg.text, d->cfg.instance,
			(int)d->server.pid);
		return 0;
	}
	if (may_fail(d, o))
		return -EIO;
	/* Nobody consumes, or nobody is known to; without a decoy the runner itself would. */
	r = device_lay_decoy(d, NULL);
	if (r)
		return r;
	say_closed(d, e);
	strcpy(d->refusal, e->text);
	return 0;
}

static int adopt(struct device *d, struct err *e)
{
	struct instance *i = registry_get(d->cfg.instance, e);
	int r = i ? hand_over(d, i, e) : -ENOMEM;

	if (r)
		return r;
	d->known = true;
	r = instance_adopt(i, d, e);
	/* No thread could be made. A device that hbad does not give back must not be failed (H5). */
	return r && device_take_back(d) ? r : 0;
}

static int hba_open(struct tcmu_device *dev, bool reopen)
{
	struct device *d;
	struct err e = {""};
	int r;

	/* The runner does this for handlers that report lost connections; this one never does, and its descriptor is
	 * a decoy by now. */
	if (reopen)
		return -EOPNOTSUPP;
	r = device_new(dev, &d, &e);
	if (r) {
		hlog_err("%s: %s", tcmu_dev_get_cfgstring(dev), e.text);
		return r;
	}
	r = adopt(d, &e);
	if (r) {
		hlog_err("%s (%s) cannot be opened: %s", d->name, d->cfg.text, e.text);
		device_free(d);
		return r;
	}
	/* From here on it is the watcher's. */
	tcmur_dev_set_private(dev, d);
	return 0;
}

/* --- close --- */

static void end_device(struct device *d)
{
	/* A removed device is safe in hbad's hands: the ring's memory lives as long as its mapping. */
	if (!device_take_back(d))
		hlog_warn("%s (%s): hbad@%s did not say that it let go of it", d->name, d->cfg.text,
			d->cfg.instance);
	else
		hlog_info("%s (%s) is closed", d->name, d->cfg.text);
	device_free(d);
}

/* The create failed after open() had succeeded, and the kernel frees the ring next. */
static void abort_device(struct device *d)
{
	if (device_served(d) && !device_settle(d, OFFER_UNSURE))
		hlog_err("ALARM: the creation of %s (%s) failed, and hbad@%s may still have its ring mapped",
			d->name, d->cfg.text, d->cfg.instance);
	device_free(d);
}

/* Will somebody answer commands when the runner has opened the gate? Not one that is about to end, or has let go. */
static bool is_well_served(const struct device *d)
{
	return device_served(d) && !d->stopping && !d->dropped && !d->killed_ns &&
	       !proc_dead(d->server.pidfd);
}

/* The runner stops. Whoever serves goes on, and says goodbye to the next runner's HELLO. */
static void leave_device(struct device *d)
{
	if (is_well_served(d)) {
		device_free(d);
		return;
	}
	if (d->dropped)
		device_take_back(d);
	instance_park(d);
}

static void hba_close(struct tcmu_device *dev)
{
	struct device *d = tcmur_dev_get_private(dev);

	tcmur_dev_set_private(dev, NULL);
	if (!d)
		return;
	if (d->instance && instance_release(d->instance, d)) {
		hlog_err("%s (%s): its watcher does not let go of it", d->name, d->cfg.text);
		return;
	}
	switch (device_fate(d)) {
	case DEVICE_DYING:
		end_device(d);
		break;
	case DEVICE_UNBORN:
		abort_device(d);
		break;
	case DEVICE_STAYS:
		leave_device(d);
		break;
	}
}

/* --- the rest --- */

static int refuse(const struct device *d, const char *what)
{
	hlog_err("%s (%s): %s", d->name, d->cfg.text, what);
	return -EOPNOTSUPP;
}

static int resize_borrowed(struct device *d, uint64_t bytes, struct err *e)
{
	if (bytes % d->block_size)
		return err_set(e, -EINVAL, "%llu bytes are no whole number of blocks of %u bytes",
			(unsigned long long)bytes, d->block_size);
	return device_resize(d, bytes / d->block_size, e);
}

static int resize(struct device *d, uint64_t bytes)
{
	struct err e = {""};
	int r;

	/* It changes in this thread only. A restore writes it anew, and must not wait for a watcher that waits for hbad. */
	if (bytes == d->blocks * d->block_size)
		return 0;
	r = d->instance ? instance_borrow(d->instance, d) : -ENODEV;
	if (r)
		return refuse(d, "it is being handed over just now: try again");
	r = resize_borrowed(d, bytes, &e);
	instance_return(d->instance, d);
	if (r)
		hlog_err("%s (%s) keeps its size: %s", d->name, d->cfg.text, e.text);
	else
		hlog_info("%s (%s) has %llu bytes", d->name, d->cfg.text, (unsigned long long)bytes);
	return r;
}

/*
 * Restoring a configuration writes every attribute again, and the kernel asks for each of these three; so what does not
 * change must be accepted. It also writes cmd_time_out, before it writes dev_config: put it right here, before the
 * restore maps LUNs and nobody can change it any more (H3).
 */
static int hba_reconfig(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg)
{
	struct device *d = tcmur_dev_get_private(dev);

	if (!d)
		return -ENODEV;
	device_assert_attributes(d);
	switch (cfg->type) {
	case TCMULIB_CFG_DEV_CFGSTR:
		if (cfg->data.dev_cfgstring && cfgstring_same(cfg->data.dev_cfgstring, d->cfg.text))
			return 0;
		return refuse(d, "the configuration string cannot be changed: delete the backstore and "
				 "create another");
	case TCMULIB_CFG_DEV_SIZE:
		return resize(d, cfg->data.dev_size);
	case TCMULIB_CFG_WRITE_CACHE:
		if (cfg->data.write_cache == d->cfgfs.write_cache)
			return 0;
		return refuse(d,
			"the write cache is the controller's, and initiators see its real state: change it "
			"there, with the vendor's tools");
	default:
		return -EOPNOTSUPP;
	}
}

/* The runner's ring is a decoy and always empty. It must have the callback to be a handler of plain commands. */
static int hba_handle_cmd(struct tcmu_device *dev, struct tcmur_cmd *cmd)
{
	static atomic_bool said;

	if (!atomic_exchange(&said, true))
		hlog_err("ALARM: tcmu-runner was given a command of an hba device. This cannot be, for hbad "
			 "serves them: "
			 "check that tcmu-runner is version 1.5.4, and stop using its hba devices");
	return TCMU_STS_NOT_HANDLED;
}

static struct tcmur_handler handler = {
	.name = "SCSI HBA owned by hbad",
	.subtype = HBAD_SUBTYPE,
	.cfg_desc = "NAME/UNIT[;ro=1][;hold=SECONDS][;allow=WHAT+WHAT...]\n"
		    "NAME: the controller, as \"hbactl list\" shows it\n"
		    "UNIT: ldN, pdN or a stable naa. name, as \"hbactl units NAME\" shows it\n"
		    "ro=1: refuse commands that write\n"
		    "hold: so long commands wait for a controller that is gone, 0 to 3600 s\n"
		    "allow: commands that are refused otherwise: format, sanitize, buffer, security, ata, "
		    "nodata, "
		    "copy, power, or vendor opcodes like c1-in, c2-out, c3-none; see hbad-handler(7)\n"
		    "The size must be the unit's.\n"
		    "Example: create name=vol1 size=3999688294400 cfgstring=g2/ld0",
	.check_config = hba_check_config,
	.reconfig = hba_reconfig,
	.open = hba_open,
	.close = hba_close,
	.handle_cmd = hba_handle_cmd,
	.destroy = registry_stop,
};

int handler_register(void)
{
	int r = tcmur_register_handler(&handler);

	/* Not for a second copy: its nonce is another one, and would make hbad drop what the first copy is given. */
	if (!r)
		hello_all();
	return r;
}

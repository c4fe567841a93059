/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link-time fakes of scsi, front and hba. Rings and LUNs are never freed, so that tests can look at the dead. */
#include "fakes.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"

struct fake_answers *fake_shared;
struct loop *fake_loop;
struct io fake_io;
static struct loop *host_loop; /* the daemon's */

static pthread_t io_thread;
static struct shared {
	struct fake_answers answers;
	pthread_mutex_t lock;
	char calls[4096];
} * shared;
static char calls_out[4096];
static struct front_ring *rings[32];
static struct scsi_lun *scsi_luns[128];
static unsigned n_rings, n_luns;
static atomic_bool hang, hangs;

/* Before main(), so that Check's and the tests' own child processes share it. */
__attribute__((constructor)) static void share(void)
{
	pthread_mutexattr_t attr;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fake_shared = &shared->answers;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->lock, &attr);
}

void fakes_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.state = HBA_RUNNING;
	fake_calls();
}

static void note(const char *what, const char *name)
{
	size_t at;

	pthread_mutex_lock(&shared->lock);
	at = strlen(shared->calls);
	snprintf(shared->calls + at, sizeof(shared->calls) - at, "%s%s%s%s", at ? ", " : "", what,
		*name ? " " : "", name);
	pthread_mutex_unlock(&shared->lock);
}

const char *fake_calls(void)
{
	pthread_mutex_lock(&shared->lock);
	memcpy(calls_out, shared->calls, sizeof(calls_out));
	shared->calls[0] = 0;
	pthread_mutex_unlock(&shared->lock);
	return calls_out;
}

bool fake_calls_become(const char *calls)
{
	bool are = false;

	for (unsigned left = FAKE_LIMIT_MS; left && !are; left--) {
		pthread_mutex_lock(&shared->lock);
		are = !strncmp(shared->calls, calls, strlen(calls));
		pthread_mutex_unlock(&shared->lock);
		if (!are)
			clock_sleep_ms(1);
	}
	return are;
}

void fake_boot_reached(void)
{
	for (unsigned left = FAKE_LIMIT_MS; left && !__atomic_load_n(&fake.boot_reached, __ATOMIC_ACQUIRE);
		left--)
		clock_sleep_ms(1);
}

void fake_boot_go(void)
{
	__atomic_store_n(&fake.boot_held, false, __ATOMIC_RELEASE);
}

struct front_ring *fake_ring(unsigned n)
{
	return n < n_rings ? rings[n] : NULL;
}

/* --- I/O thread --- */

static void *io_main(void *arg)
{
	loop_run(fake_loop);
	return NULL;
}

static void do_hang(void *arg)
{
	hangs = true;
	while (hang)
		clock_sleep_ms(5);
	hangs = false;
}

void fakes_start(void)
{
	fakes_reset();
	loop_create(&fake_loop);
	fake_io = (struct io){.n_loops = 1, .n_threads = 1, .loop = {fake_loop}};
	pthread_create(&io_thread, NULL, io_main, NULL);
	while (!loop_heartbeat_ns(fake_loop))
		clock_sleep_ms(1);
}

void fakes_hang_io(bool on)
{
	hang = on;
	if (on)
		loop_call(fake_loop, do_hang, NULL, 1);
	while (hangs != on)
		clock_sleep_ms(1);
}

void fakes_stop(void)
{
	hang = false;
	loop_stop(fake_loop);
	pthread_join(io_thread, NULL);
	loop_destroy(fake_loop);
}

/* --- scsi: ld0 and ld1 are disks, ld2 has a problem --- */

static struct hba_unit hba_units[3] = {
	{.name = "ld0",
		.state = HBA_UNIT_OPTIMAL,
		.raid = "RAID 5",
		.write_back = true,
		.cache_protected = true},
	{.name = "ld1", .state = HBA_UNIT_DEGRADED, .disk_cache = true},
	{.name = "pd8", .kind = HBA_UNIT_PD, .state = HBA_UNIT_OFFLINE, .blocks = 77},
};
static struct scsi_unit units[3] = {
	{
		.hba = &hba_units[0],
		.identified = true,
		.id = {.naa_text = "naa.60a0",
			.serial = "S0",
			.vendor = "ACME",
			.product = "Disk",
			.revision = "1.0",
			.naa_from_unit = true,
			.blocks = 2048,
			.block_size = 512},
	},
	{.hba = &hba_units[1],
		.identified = true,
		.id = {.naa_text = "naa.60a1", .blocks = 10, .block_size = 4096}},
	{.hba = &hba_units[2], .problem = "is a tape"},
};

struct scsi_host *fake_host(void)
{
	return (struct scsi_host *)&units;
}

unsigned scsi_host_units(const struct scsi_host *s, const struct scsi_unit **ret)
{
	*ret = units;
	return ARRAY_SIZE(units);
}

const struct scsi_unit *scsi_host_find(const struct scsi_host *s, const char *unit, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(unit, hba_units[i].name) || !strcmp(unit, units[i].id.naa_text))
			return &units[i];
	err_set(e, -ENOENT, "no unit %s; there are ld0, ld1 and pd8", unit);
	return NULL;
}

int scsi_lun_parse(const char *text, struct scsi_lun_config *ret, struct err *e)
{
	size_t len = strcspn(text, ";");

	memset(ret, 0, sizeof(*ret));
	if (!len || len >= sizeof(ret->unit))
		return err_set(e, -EINVAL, "no unit in the configuration string");
	memcpy(ret->unit, text, len);
	ret->ro = !strcmp(text + len, ";ro=1");
	ret->allow = strcmp(text + len, ";allow=copy") ? 0 : ALLOW_COPY;
	return 0;
}

int scsi_lun_check(const struct scsi_host *s, const struct scsi_lun_config *cfg, struct err *e)
{
	const struct scsi_unit *u = scsi_host_find(s, cfg->unit, e);

	if (fake.check)
		return err_set(e, fake.check, "fake check");
	if (!u)
		return -ENOENT;
	if (!u->identified)
		return err_set(e, -EMEDIUMTYPE, "unit %s cannot be exported: it %s", cfg->unit, u->problem);
	if (cfg->naa[0] && strcmp(cfg->naa, u->id.naa_text) != 0)
		return err_set(e, -ESTALE, "it was %s", cfg->naa);
	if (!cfg->blocks)
		return 0;
	if (cfg->may_be_smaller && cfg->blocks < u->id.blocks && cfg->block_size == u->id.block_size)
		return 0;
	if (cfg->blocks != u->id.blocks || cfg->block_size != u->id.block_size)
		return err_set(e, -EINVAL, "%s has %llu blocks of %u", cfg->unit,
			(unsigned long long)u->id.blocks, u->id.block_size);
	return 0;
}

unsigned scsi_host_lanes(const struct scsi_host *s)
{
	return fake.lanes ? fake.lanes : 1;
}

struct loop *scsi_lun_loop(const struct scsi_lun *lun)
{
	return host_loop ? host_loop : fake_loop;
}

unsigned scsi_lun_lane(const struct scsi_lun *lun)
{
	return lun->lane;
}

int scsi_lun_create_on(struct scsi_host *s, unsigned lane, const char *naa, const struct scsi_lun_config *cfg,
	struct scsi_lun **ret)
{
	if (fake.create_lun)
		return fake.create_lun;
	*ret = calloc(1, sizeof(**ret));
	(*ret)->cfg = *cfg;
	(*ret)->lane = lane;
	scsi_luns[n_luns++ % ARRAY_SIZE(scsi_luns)] = *ret;
	note("lun", cfg->unit);
	return 0;
}

int scsi_lun_resize(struct scsi_lun *lun, uint64_t blocks, struct err *e)
{
	note("resize", lun->cfg.unit);
	if (fake.resize)
		return err_set(e, fake.resize, "fake resize");
	lun->cfg.blocks = blocks;
	return 0;
}

void scsi_lun_destroy(struct scsi_lun *lun)
{
	if (lun->busy || lun->destroyed)
		abort();
	lun->destroyed = true;
	note("unlun", lun->cfg.unit);
}

unsigned scsi_lun_busy(const struct scsi_lun *lun)
{
	return lun->busy;
}

enum scsi_gate scsi_lun_gate(const struct scsi_lun *lun)
{
	return SCSI_GATE_OPEN;
}

void scsi_lun_get_stats(const struct scsi_lun *lun, struct scsi_lun_stats *ret)
{
	*ret = (struct scsi_lun_stats){.tasks = 12, .read_bytes = 1ull << 40};
}

/* --- front --- */

int front_create(const struct front_config *cfg, struct front_ring **ret, struct err *e)
{
	struct front_ring *r;

	if (fake.create_ring)
		return err_set(e, fake.create_ring, "the ring cannot be mapped");
	r = calloc(1, sizeof(*r));
	snprintf(r->name, sizeof(r->name), "%s", cfg->name);
	r->fd = cfg->uio_fd;
	r->map_len = cfg->map_len;
	r->map_offset = cfg->map_offset;
	r->cmd_time_out_s = cfg->cmd_time_out_s;
	r->lun = cfg->lun;
	rings[n_rings++ % ARRAY_SIZE(rings)] = *ret = r;
	note("create", r->name);
	return 0;
}

int front_start(struct front_ring *r, struct err *e)
{
	note("start", r->name);
	if (fake.start)
		return err_set(e, fake.start, "the ring makes no sense");
	r->started = true;
	return 0;
}

int front_settle(struct front_ring *r, unsigned lane, const char *naa, struct err *e)
{
	note("settle", r->name);
	if (fake.settle)
		return err_set(e, fake.settle, "the I/O thread does not answer");
	/* Its unit is known as soon as it has a lane of several. */
	if (naa[0] != (fake.lanes > 1 ? 'n' : '\0'))
		abort();
	if (r->lun->lane == SCSI_UNSETTLED)
		r->lun->lane = lane;
	return 0;
}

int front_drain(struct front_ring *r, unsigned timeout_ms)
{
	note("drain", r->name);
	return fake.drain;
}

int front_stop(struct front_ring *r, unsigned timeout_ms)
{
	note("stop", r->name);
	r->stop_ms = timeout_ms;
	clock_sleep_ms(MIN(fake.stop_sleep_ms, timeout_ms));
	if (fake.stop < 0)
		return fake.stop;
	r->stopped = true;
	r->outstanding = r->lun->busy = (unsigned)fake.stop;
	return fake.stop;
}

unsigned front_outstanding(const struct front_ring *r)
{
	return r->outstanding;
}

void front_destroy(struct front_ring *r)
{
	if (!r->stopped || r->destroyed)
		abort();
	r->destroyed = true;
	close(r->fd);
	note("destroy", r->name);
}

bool front_dropped(const struct front_ring *r, const char **ret_reason)
{
	*ret_reason = r->dropped;
	return r->dropped;
}

void front_get_stats(const struct front_ring *r, struct front_stats *ret)
{
	*ret = (struct front_stats){.commands = 5, .completions = 4, .outstanding = r->outstanding};
}

/* --- hba --- */

static int export_pci(struct pci_dev *dev, struct pci_descriptors *ret, struct err *e)
{
	*ret = (struct pci_descriptors){0, 0, 0};
	return 0;
}

static void note(const char *what, const char *name);

static void leave_pci(struct pci_dev *dev)
{
	note("let-go", "");
}

static const struct pci_ops the_pci_ops = {.name = "fake", .export = export_pci, .leave = leave_pci};
static struct pci_dev the_pci = {.ops = &the_pci_ops, .uri = "0000:03:00.0"};
static struct hba the_hba = {.pci = &the_pci,
	.info = {.product = "Fake", .firmware = "1"},
	.limits = {.queue_depth = 8},
	.n_lanes = 1};

static int step(const char *what, int result, struct err *e)
{
	note(what, "");
	return result ? err_set(e, result, "%s failed", what) : 0;
}

int hba_open(const struct hba_config *cfg, struct loop *loop, struct hba **ret, struct err *e)
{
	int r = step("open", fake.hba_open, e);

	if (!r)
		*ret = &the_hba;
	return r;
}

int hba_import(const struct hba_config *cfg, const struct pci_descriptors *d, struct loop *loop,
	struct hba **ret, struct err *e)
{
	int r = step("import", fake.hba_import, e);

	close(d->container);
	close(d->group);
	close(d->device);
	if (!r)
		*ret = &the_hba;
	return r;
}

int hba_adopt(struct hba *h, struct hba_frozen *f, struct err *e)
{
	for (unsigned i = 0; i < f->n_arenas; i++) {
		close(f->arena[i].memfd);
		f->arena[i].memfd = -1;
	}
	return step("adopt", fake.hba_adopt, e);
}

int hba_can_freeze(struct hba *h, struct err *e)
{
	return fake.can_freeze ? err_set(e, fake.can_freeze, "the fake driver cannot") : 0;
}

int hba_freeze(struct hba *h, struct hba_frozen *ret, struct err *e)
{
	*ret = (struct hba_frozen){
		.driver = "fake", .n_arenas = 1, .arena = {{.iova = 0x1000, .size = 0x1000, .memfd = 0}}};
	return step("freeze", fake.hba_freeze, e);
}

struct pci_dev *hba_leave(struct hba *h)
{
	note("leave", "");
	return &the_pci;
}

int hba_attach(struct hba *h, struct err *e)
{
	h->n_lanes = fake.lanes ? fake.lanes : 1;
	return step("attach", fake.hba_attach, e);
}

int hba_start(struct hba *h, struct err *e)
{
	__atomic_store_n(&fake.boot_reached, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&fake.boot_held, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
	snprintf(h->info.serial, sizeof(h->info.serial), "%s", fake.serial ? fake.serial : "SV1");
	return step("start", fake.hba_start, e);
}

int hba_drain(struct hba *h, unsigned timeout_ms)
{
	return step("drain", fake.hba_drain, NULL);
}

void hba_hasten(struct hba *h)
{
	__atomic_store_n(&fake.hastened, true, __ATOMIC_RELEASE);
}

void hba_end_runs(struct hba *h)
{
	note("end-runs", "");
	__atomic_store_n(&fake.attach_held, false, __ATOMIC_RELEASE);
}

int hba_stop(struct hba *h)
{
	while (__atomic_load_n(&fake.stop_held, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
	h->unit[0].unflushed = fake.hba_stop < 0;
	return step("halt", fake.hba_stop, NULL);
}

void hba_close(struct hba *h)
{
	if (h)
		note("close", "");
}

int scsi_host_create(struct loop *loop, struct scsi_host **ret)
{
	*ret = fake_host();
	host_loop = loop;
	return 0;
}

void scsi_host_trim(struct scsi_host *s)
{
	note("trim", "");
}

int scsi_host_attach(struct scsi_host *s, struct hba *h, struct err *e)
{
	bool held = __atomic_load_n(&fake.attach_held, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&fake.attach_held, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
	return step("host-attach", held ? -ENODEV : fake.host_attach, e);
}

void scsi_host_detach(struct scsi_host *s, enum scsi_gate why)
{
	note("host-detach", why == SCSI_GATE_GONE ? "gone" : "");
}

void scsi_host_tick(struct scsi_host *s)
{
}

unsigned scsi_host_leave(struct scsi_host *s, const struct hba *h, struct scsi_untold ret[HBA_MAX_UNITS])
{
	ret[0] = (struct scsi_untold){
		.naa = "naa.1", .lost = !h || h->unit[0].unflushed, .attention = {0x062a09, 0x062a01}};
	return fake.untold;
}

int scsi_host_inherit(struct scsi_host *s, const struct scsi_untold *u)
{
	char text[80];

	snprintf(text, sizeof(text), "%s %d %x %x %x", u->naa, u->lost, u->attention[0], u->attention[1],
		u->attention[2]);
	note("inherit", text);
	return 0;
}

void scsi_host_destroy(struct scsi_host *s)
{
	note("host-destroy", "");
}

enum hba_state hba_state(const struct hba *h)
{
	return fake.state;
}

bool hba_next_event(struct hba *h, struct hba_event *ret)
{
	if (!__atomic_exchange_n(&fake.tell, false, __ATOMIC_ACQ_REL))
		return false;
	*ret = (struct hba_event){.code = 0x6a, .text = "Rebuild started on PD 08"};
	return true;
}

uint32_t hba_events_untold(const struct hba *h)
{
	return 0;
}

uint32_t hba_unit_news(const struct hba *h)
{
	return fake.unit_news;
}

unsigned hba_inflight(const struct hba *h)
{
	return 3;
}

unsigned hba_lane_inflight(const struct hba *h, unsigned lane)
{
	return lane ? 1 : 2;
}

void hba_get_stats(const struct hba *h, struct hba_stats *ret)
{
	*ret = (struct hba_stats){.requests = 9, .flushes = 2};
}

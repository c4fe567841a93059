/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watcher: death, silence, planned stops, and what it must not do without a proof. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fake.h"
#include "handler/instance.h"
#include "handler/timing.h"

static struct tcmu_device *dev;
static uint64_t opened_ms;

static void setup(void)
{
	fake_setup();
	hbad_start(fake.a);
	dev = fake_device("vol1", "hba/g2/ld0", true);
	opened_ms = now_ms();
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	eventually(hbad_count(fake.a, "PING") > 1);
}

/* What happens then happens at once, and not because somebody looks again. */
static void setup_looking_every(unsigned ms)
{
	fake_setup();
	timing.retry = timing.ping = ms;
	hbad_start(fake.a);
	dev = fake_device("vol1", "hba/g2/ld0", true);
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	eventually(hbad_count(fake.a, "WATCH") == 1);
	usleep(200000);
}

static void setup_slow(void)
{
	setup_looking_every(3000);
}

static void setup_never(void)
{
	setup_looking_every(3 * BUSY_MS);
}

static void act(enum handoff_type type, enum act what)
{
	atomic_store(&fake.a->act[type], what);
}

static bool untouched(void)
{
	return !record_count("vol1/block_dev=1") && !record_count("vol1/reset_ring=1");
}

/* From here on another hbad serves the device, and the gate was opened last. */
static void expect_next_hbad(void)
{
	unsigned opened;

	hbad_start(fake.b);
	eventually(record_count("vol1/block_dev=0") == 1);
	opened = (unsigned)record_index("vol1/block_dev=0", 0);
	ck_assert_str_eq(hbad_log(fake.b, "OPEN", 0), "OPEN vol1 hba/g2/ld0 known=1 blocks=2048*512 ring=ok");
	ck_assert_uint_eq(hbad_count(fake.b, "START"), 1);
	stays(record_count("vol1/block_dev=0") == 1, 100);
	for (unsigned n = opened + 1; n < record_total(); n++)
		ck_assert(strcmp(record_at(n), "vol1/reset_ring=1") &&
			  strcmp(record_at(n), "vol1/block_dev=1"));
}

static void be_stopped(void)
{
	pid_t stopper = fork();

	if (!stopper) {
		kill(getppid(), SIGSTOP);
		usleep((timing.silent + 500) * 1000);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(stopper, NULL, 0), stopper);
}

START_TEST(healthy_hbad_is_left_alone)
{
	stays(untouched() && hbad_alive(fake.a), timing.silent + 300);
	ck_assert_uint_eq(hbad_count(fake.a, "WATCH"), 1);
	ck_assert_uint_eq(hbad_count(fake.a, "HELLO"), 0); /* it did not run yet when the plugin was loaded */
}
END_TEST

/* H9: publish, block, reset, and closed until the next hbad serves. */
START_TEST(death_is_answered_with_kick_block_reset)
{
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	ck_assert_uint_eq(kicks(dev), 1);
	ck_assert_int_ge(record_index("vol1/block_dev=1", 0), 0);
	ck_assert_int_lt(record_index("vol1/block_dev=1", 0), record_index("vol1/reset_ring=1", 0));
	/* again and again, but not opened */
	eventually(record_count("vol1/block_dev=1") > 2);
	ck_assert_uint_eq(record_count("vol1/block_dev=0"), 0);
	expect_next_hbad();
	ck_assert_uint_eq(kicks(dev), 1);
}
END_TEST

/* BUSY for ever would keep whoever wants to remove the LUN waiting for the initiators' retries (H4). */
START_TEST(commands_fail_when_hbad_stays_away)
{
	unsigned guards, blocks;

	timing.absent = 400;
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=2") > 1); /* again and again */
	/* BUSY first, however late this thread looks. */
	ck_assert_int_ge(record_index("vol1/reset_ring=1", 0), 0);
	ck_assert_int_lt(record_index("vol1/reset_ring=1", 0), record_index("vol1/block_dev=0", 0));
	ck_assert_int_lt(record_index("vol1/block_dev=0", 0), record_index("vol1/reset_ring=2", 0));
	ck_assert_uint_eq(log_count("has been away"), 1);
	guards = record_count("vol1/reset_ring=1");
	blocks = record_count("vol1/block_dev=1");
	/* Handed over blocked and empty. */
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "START") == 1);
	ck_assert_uint_gt(record_count("vol1/block_dev=1"), blocks);
	ck_assert_uint_gt(record_count("vol1/reset_ring=1"), guards);
	ck_assert_int_lt(record_index("vol1/block_dev=1", blocks), record_index("vol1/reset_ring=1", guards));
	eventually(record_index("vol1/block_dev=0", record_count("vol1/block_dev=0") - 1) >
		   record_index("vol1/block_dev=1", record_count("vol1/block_dev=1") - 1));
}
END_TEST

static void stops_and_says(uint32_t back_s)
{
	timing.absent = 200;
	atomic_store(&fake.a->back_s, back_s);
	atomic_store(&fake.a->stop_event, 1);
	eventually(hbad_count(fake.a, "GATED") == 1);
	kill(fake.a->pid, SIGKILL);
}

START_TEST(an_announced_hbad_is_waited_for_longer)
{
	stops_and_says(60);
	stays(record_count("vol1/reset_ring=2") == 0, 5 * timing.absent);
	ck_assert_uint_eq(log_count("is being upgraded"), 1);
	expect_next_hbad();
	/* It was for that time only. */
	kill(fake.b->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=2") > 0);
}
END_TEST

START_TEST(an_announced_hbad_is_not_waited_for_without_end)
{
	timing.back = 400;
	stops_and_says(UINT32_MAX);
	eventually(record_count("vol1/reset_ring=2") > 0);
}
END_TEST

/* BUSY for ever is what an hbad made of it that starts, is watched and fails, again and again. */
START_TEST(an_hbad_that_fails_to_start_was_not_back)
{
	unsigned guards;

	atomic_store(&fake.b->state, HANDOFF_BOOTING);
	kill(fake.a->pid, SIGKILL);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "START") == 1);
	timing.absent = 400; /* it was in time */
	/* A controller that takes its time is a pause. */
	stays(record_count("vol1/reset_ring=2") == 0, 3 * timing.absent);
	ck_assert_uint_eq(log_count("has been away"), 0);
	guards = record_count("vol1/reset_ring=1");
	kill(fake.b->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=2") > 0);
	/* At once: the only BUSY is that for what it had. */
	ck_assert_int_eq(record_index("vol1/reset_ring=1", guards + 1), -1);
	eventually(log_count("has been away") == 1);
}
END_TEST

/* It came in time, and its controller takes longer: what comes loose from it meanwhile waits with the rest. */
START_TEST(what_comes_loose_during_a_start_is_a_pause_too)
{
	struct tcmu_device *second = fake_device("vol2", "hba/g2/ld1", true);
	unsigned opens;

	ck_assert_int_eq(fake.handler->open(second, false), 0);
	atomic_store(&fake.b->state, HANDOFF_BOOTING);
	kill(fake.a->pid, SIGKILL);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "START") == 2);
	timing.absent = 400; /* it was in time */
	usleep(2 * timing.absent * 1000);
	/* For a while it has none at all. */
	opens = hbad_count(fake.b, "OPEN");
	atomic_store(&fake.b->act[HANDOFF_OPEN], ACT_REFUSE);
	atomic_store(&fake.b->act[HANDOFF_PING], ACT_DROPPED);
	eventually(log_count("had to let go") > 0);
	atomic_store(&fake.b->act[HANDOFF_PING], ACT_OK);
	eventually(hbad_count(fake.b, "OPEN") > opens + 3);
	atomic_store(&fake.b->act[HANDOFF_OPEN], ACT_OK);
	eventually(hbad_count(fake.b, "START") > 2);
	ck_assert_uint_eq(record_count("vol1/reset_ring=2") + record_count("vol2/reset_ring=2"), 0);
	ck_assert_uint_eq(log_count("has been away"), 0);
	/* Both, when it dies. */
	kill(fake.b->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=2") && record_count("vol2/reset_ring=2"));
}
END_TEST

/* The pause began with the death of the last one that served, and this one has come too late for it. */
START_TEST(commands_fail_until_the_controller_runs)
{
	unsigned fails;

	timing.absent = 400;
	atomic_store(&fake.b->state, HANDOFF_BOOTING);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=2") > 0);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "PING") > 1);
	fails = record_count("vol1/reset_ring=2");
	eventually(record_count("vol1/reset_ring=2") > fails + 1);
	ck_assert_uint_eq(hbad_count(fake.b, "OPEN"), 0);
	atomic_store(&fake.b->state, HANDOFF_READY);
	eventually(hbad_count(fake.b, "START") == 1);
	/* Handed over blocked and empty, and then it is back. */
	ck_assert_int_gt(record_index("vol1/reset_ring=1", record_count("vol1/reset_ring=1") - 1),
		record_index("vol1/reset_ring=2", record_count("vol1/reset_ring=2") - 1));
	fails = record_count("vol1/reset_ring=2");
	stays(record_count("vol1/reset_ring=2") == fails, timing.absent);
}
END_TEST

/* Its controller is lost: it answers for those LUNs that it has, and takes others. */
START_TEST(an_hbad_without_its_controller_is_offered_devices)
{
	timing.absent = 400;
	atomic_store(&fake.b->state, HANDOFF_FAILED);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=2") > 0);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "START") == 1);
}
END_TEST

START_TEST(an_announced_return_is_not_over_with_a_start_that_fails)
{
	stops_and_says(60);
	atomic_store(&fake.b->state, HANDOFF_BOOTING);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "START") == 1);
	kill(fake.b->pid, SIGKILL);
	stays(record_count("vol1/reset_ring=2") == 0, 5 * timing.absent);
}
END_TEST

START_TEST(death_is_answered_at_once)
{
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
}
END_TEST

START_TEST(second_death_is_answered_too)
{
	unsigned n;

	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	expect_next_hbad();
	n = record_count("vol1/reset_ring=1");
	kill(fake.b->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > n);
	ck_assert_uint_eq(kicks(dev), 2);
}
END_TEST

/* The only one there is, while it gets a new size. */
START_TEST(device_that_is_borrowed_is_watched_on)
{
	struct device *d = dev->priv;

	ck_assert_int_eq(instance_borrow(d->instance, d), 0);
	atomic_store(&fake.a->hang_up_watch, 1);
	eventually(hbad_count(fake.a, "WATCH") == 2);
	instance_return(d->instance, d);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	expect_next_hbad();
}
END_TEST

/* A round has passed it over, and the next one would be late. */
START_TEST(device_that_comes_back_is_looked_at_at_once)
{
	struct device *d = dev->priv;

	ck_assert_int_eq(instance_borrow(d->instance, d), 0);
	kill(fake.a->pid, SIGKILL);
	hbad_wait_dead(fake.a);
	usleep(200000);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	instance_return(d->instance, d);
	eventually(record_count("vol1/reset_ring=1") > 0);
}
END_TEST

/* The round that forgave hbad the runner's own silence has passed it over. */
START_TEST(device_that_was_borrowed_meanwhile_is_not_judged_by_it)
{
	struct device *d = dev->priv;

	ck_assert_int_eq(instance_borrow(d->instance, d), 0);
	be_stopped();
	usleep(10 * timing.ping * 1000);
	instance_return(d->instance, d);
	stays(untouched() && hbad_alive(fake.a), 10 * timing.ping);
}
END_TEST

/* H1, H10: a closed connection is not a death. */
START_TEST(lost_connection_to_a_living_hbad_resets_nothing)
{
	atomic_store(&fake.a->hang_up_watch, 1);
	eventually(hbad_count(fake.a, "WATCH") == 2);
	stays(untouched(), timing.silent + 300);
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), 1);
}
END_TEST

START_TEST(living_hbad_that_does_not_let_watch_is_killed_in_time)
{
	uint64_t start = now_ms();

	act(HANDOFF_WATCH, ACT_SILENT);
	atomic_store(&fake.a->hang_up_watch, 1);
	eventually(!hbad_alive(fake.a));
	ck_assert_uint_ge(now_ms() - start, timing.silent / 2);
	eventually(record_count("vol1/reset_ring=1") > 0);
}
END_TEST

START_TEST(living_hbad_that_refuses_to_be_watched_is_left_alone)
{
	act(HANDOFF_WATCH, ACT_REFUSE);
	atomic_store(&fake.a->hang_up_watch, 1);
	stays(untouched() && hbad_alive(fake.a), timing.silent + 500);
	ck_assert_uint_eq(log_count("on holiday"), 1);
}
END_TEST

/* H10: SIGSTOP: killed, waited for, then reset. */
START_TEST(frozen_hbad_is_killed_when_its_time_is_up)
{
	uint64_t start = now_ms();

	kill(fake.a->pid, SIGSTOP);
	stays(hbad_alive(fake.a) && untouched(), timing.silent / 2);
	eventually(!hbad_alive(fake.a));
	ck_assert_uint_lt(now_ms() - start, timing.silent + BUSY_MS);
	eventually(record_count("vol1/reset_ring=1") > 0);
	ck_assert_int_lt(record_index("vol1/block_dev=1", 0), record_index("vol1/reset_ring=1", 0));
	ck_assert_uint_eq(kicks(dev), 1);
	expect_next_hbad();
}
END_TEST

/* Its main thread lives, but it does not say that all its threads do. */
START_TEST(hbad_that_does_not_answer_pings_is_killed)
{
	act(HANDOFF_PING, _i ? ACT_REFUSE : ACT_SILENT);
	eventually(!hbad_alive(fake.a));
	eventually(log_count("has not answered") == 1);
	eventually(record_count("vol1/reset_ring=1") > 0);
}
END_TEST

/* H1: somebody reset the ring by hand; both live. */
START_TEST(dropped_device_is_taken_back_guarded_and_offered_again)
{
	unsigned opens = hbad_count(fake.a, "OPEN");

	act(HANDOFF_PING, ACT_DROPPED);
	eventually(record_count("vol1/reset_ring=1") > 0);
	act(HANDOFF_PING, ACT_OK);
	ck_assert_int_ge(hbad_count(fake.a, "CLOSE"), 1);
	ck_assert_int_lt(record_index("vol1/block_dev=1", 0), record_index("vol1/reset_ring=1", 0));
	eventually(hbad_count(fake.a, "OPEN") > opens);
	eventually(record_count("vol1/block_dev=0") > 0);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* The answer to CLOSE is lost, and hbad, which has heard it, names the device no more. */
START_TEST(dropped_device_whose_take_back_fails_is_taken_back_later)
{
	unsigned opens = hbad_count(fake.a, "OPEN");

	act(HANDOFF_CLOSE, ACT_SILENT);
	act(HANDOFF_PING, ACT_DROPPED);
	eventually(hbad_count(fake.a, "CLOSE") == 1);
	act(HANDOFF_PING, ACT_OK);
	/* Not confirmed: blocked, not reset, not offered. */
	eventually(hbad_count(fake.a, "CLOSE") >= 3);
	ck_assert_uint_ge(record_count("vol1/block_dev=1"), 3);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	ck_assert_uint_eq(record_count("vol1/block_dev=0"), 0);
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), opens);
	ck_assert_uint_eq(log_count("does not confirm"), 1);
	act(HANDOFF_CLOSE, ACT_NOENT);
	eventually(record_count("vol1/block_dev=0") > 0);
	ck_assert_uint_ge(record_count("vol1/reset_ring=1"), 1);
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), opens + 1);
	ck_assert_uint_eq(log_count("had to let go"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* Each of them is a question that gets no answer, and while the watcher waits for it it hears nothing else. */
START_TEST(hbad_that_confirms_nothing_is_heard_meanwhile)
{
	struct tcmu_device *second = fake_device("vol2", "hba/g2/ld1", true);

	ck_assert_int_eq(fake.handler->open(second, false), 0);
	act(HANDOFF_CLOSE, ACT_SILENT);
	act(HANDOFF_PING, ACT_DROPPED); /* both: the fake's handles are all the same */
	eventually(log_count("had to let go") == 2);
	act(HANDOFF_PING, ACT_OK);
	eventually(hbad_count(fake.a, "CLOSE") >= 5);
	ck_assert_uint_eq(log_count("has not answered"), 0);
	ck_assert(hbad_alive(fake.a));
	act(HANDOFF_CLOSE, ACT_NOENT);
	eventually(record_count("vol1/block_dev=0") > 0 && record_count("vol2/block_dev=0") > 0);
}
END_TEST

START_TEST(dropped_device_whose_hbad_dies_is_offered_to_the_next)
{
	act(HANDOFF_CLOSE, ACT_SILENT);
	act(HANDOFF_PING, ACT_DROPPED);
	eventually(hbad_count(fake.a, "CLOSE") == 1);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	expect_next_hbad();
	ck_assert_uint_eq(hbad_count(fake.b, "CLOSE"), 0);
}
END_TEST

START_TEST(short_silence_is_forgiven)
{
	act(HANDOFF_PING, ACT_SILENT);
	usleep(timing.silent * 300);
	act(HANDOFF_PING, ACT_OK);
	stays(untouched() && hbad_alive(fake.a), timing.silent);
}
END_TEST

/* Stopped from outside, hbad is not. In whatever the watcher was doing just then: hence several times. */
START_TEST(runner_that_was_stopped_itself_kills_nobody)
{
	for (int i = 0; i < 3; i++) {
		be_stopped();
		stays(untouched() && hbad_alive(fake.a), timing.ping * 5);
	}
	/* One that hangs is found out all the same. */
	kill(fake.a->pid, SIGSTOP);
	eventually(!hbad_alive(fake.a));
}
END_TEST

/* In the middle of a question. */
START_TEST(runner_that_was_stopped_while_it_asked_kills_nobody)
{
	act(HANDOFF_CLOSE, ACT_SILENT);
	act(HANDOFF_PING, ACT_DROPPED);
	eventually(hbad_count(fake.a, "CLOSE") == 1);
	act(HANDOFF_PING, ACT_OK);
	be_stopped();
	eventually(hbad_count(fake.a, "CLOSE") >= 3);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H10: who cannot be killed keeps its ring, blocked. */
START_TEST(hbad_that_does_not_die_is_blocked_and_not_reset)
{
	atomic_store(&fake.killing_off, 1);
	kill(fake.a->pid, SIGSTOP);
	eventually(record_count("vol1/block_dev=1") > 0);
	eventually(log_count("does not die") > 1); /* repeated */
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	/* A new one gets nothing either. */
	hbad_start(fake.b);
	stays(!record_count("vol1/reset_ring=1") && !hbad_count(fake.b, "OPEN"), 300);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	eventually(record_count("vol1/block_dev=0") == 1);
}
END_TEST

/* H2: gates closed before hbad drains. */
START_TEST(planned_stop_closes_the_gates_before_it_is_confirmed)
{
	atomic_store(&fake.a->stop_event, 1);
	eventually(hbad_count(fake.a, "GATED") == 1);
	ck_assert_uint_ge(record_count("vol1/block_dev=1"), 1);
	/* It drains now; it is alive, so nothing is reset, and it is not asked to take anything. */
	stays(!record_count("vol1/reset_ring=1"), 300);
	ck_assert_uint_eq(record_count("vol1/block_dev=0"), 0);
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), 1);
	ck_assert(hbad_alive(fake.a));
	atomic_store(&fake.a->exit_now, 1);
	eventually(record_count("vol1/reset_ring=1") > 0);
	expect_next_hbad();
}
END_TEST

/* It is just getting a new size when hbad says that it ends, and is treated like the others afterwards. */
START_TEST(device_that_is_borrowed_when_hbad_stops_is_gated_and_has_more_time)
{
	struct device *d = dev->priv;

	ck_assert_int_eq(instance_borrow(d->instance, d), 0);
	atomic_store(&fake.a->stop_event, 1);
	eventually(hbad_count(fake.a, "GATED") == 1);
	ck_assert(!d->stopping && !record_count("vol1/block_dev=1"));
	instance_return(d->instance, d);
	eventually(record_count("vol1/block_dev=1") > 0);
	/* Not between two looks of the watcher. */
	ck_assert_int_eq(instance_borrow(d->instance, d), 0);
	ck_assert(d->stopping);
	instance_return(d->instance, d);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
}
END_TEST

/* Flushing the controller's cache can take longer than anything else that hbad is silent about. */
START_TEST(stopping_hbad_has_more_time)
{
	uint64_t start;

	atomic_store(&fake.a->stop_event, 1);
	eventually(hbad_count(fake.a, "GATED") == 1);
	start = now_ms();
	kill(fake.a->pid, SIGSTOP);
	stays(hbad_alive(fake.a) && !record_count("vol1/reset_ring=1"), timing.silent + 500);
	eventually(!hbad_alive(fake.a));
	ck_assert_uint_ge(now_ms() - start, timing.stop / 2);
}
END_TEST

/* H13: a saved nl_reply_supported=0 is put right. */
START_TEST(netlink_replies_are_switched_on_once_and_late)
{
	/* The fixture has "0" there, as a saved configuration may. */
	bool none = !record_count("vol1/nl_reply_supported=1");

	ck_assert(none || now_ms() - opened_ms >= timing.settle);
	eventually(record_count("vol1/nl_reply_supported=1") == 1);
	stays(record_count("vol1/nl_reply_supported=1") == 1, 400);
}
END_TEST

START_TEST(netlink_replies_that_are_on_are_left_alone)
{
	fake_write("cfg/target/core/user_0/vol1/attrib/nl_reply_supported", "1\n");
	/* In time, if the machine lets us. */
	if (now_ms() - opened_ms < timing.settle)
		stays(record_count("vol1/nl_reply_supported=1") == 0, timing.settle + 500);
}
END_TEST

START_TEST(all_devices_of_an_instance_are_guarded)
{
	struct tcmu_device *second = fake_device("vol2", "hba/g2/ld1", true);

	ck_assert_int_eq(fake.handler->open(second, false), 0);
	atomic_store(&fake.a->stop_event, 1);
	eventually(hbad_count(fake.a, "GATED") == 1);
	ck_assert(record_count("vol1/block_dev=1") && record_count("vol2/block_dev=1"));
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") && record_count("vol2/reset_ring=1"));
	hbad_start(fake.b);
	eventually(record_count("vol1/block_dev=0") == 1 && record_count("vol2/block_dev=0") == 1);
	ck_assert_uint_eq(hbad_count(fake.b, "OPEN vol1"), 1);
	ck_assert_uint_eq(hbad_count(fake.b, "OPEN vol2"), 1);
	ck_assert_uint_eq(hbad_count(fake.b, "WATCH"), 1);
}
END_TEST

START_TEST(refused_device_stays_blocked_and_the_others_are_served)
{
	kill(fake.a->pid, SIGKILL);
	atomic_store(&fake.b->act[HANDOFF_OPEN], ACT_REFUSE);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "OPEN") > 2);
	ck_assert_uint_eq(log_count("is not served"), 1);
	ck_assert_uint_eq(record_count("vol1/block_dev=0"), 0);
	atomic_store(&fake.b->act[HANDOFF_OPEN], ACT_OK);
	eventually(record_count("vol1/block_dev=0") == 1);
}
END_TEST

START_TEST(silence_on_start_is_taken_back_before_the_next_attempt)
{
	kill(fake.a->pid, SIGKILL);
	atomic_store(&fake.b->act[HANDOFF_START], ACT_SILENT);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "CLOSE 7001") == 1);
	atomic_store(&fake.b->act[HANDOFF_START], ACT_OK);
	eventually(record_count("vol1/block_dev=0") == 1);
	ck_assert_uint_ge(hbad_count(fake.b, "OPEN"), 2);
	ck_assert(hbad_alive(fake.b));
}
END_TEST

/* A protocol error is no proof of anything: the connection is made again. */
START_TEST(garbage_from_a_living_hbad_resets_nothing)
{
	act(HANDOFF_PING, ACT_MAGIC);
	eventually(hbad_count(fake.a, "WATCH") >= 2);
	ck_assert(untouched());
	act(HANDOFF_PING, ACT_OK);
	stays(untouched() && hbad_alive(fake.a), timing.silent + 200);
}
END_TEST

/* H3: what a saved configuration has put there is put right. */
START_TEST(time_out_is_put_right_until_luns_exist)
{
	for (unsigned n = 2; n < 5; n++) {
		fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "5");
		eventually(record_count("vol1/cmd_time_out=0") == n);
	}
	stays(record_count("vol1/cmd_time_out=0") == 4, 300); /* not while it is right */
	ck_assert_uint_eq(log_count("ALARM"), 0);
}
END_TEST

/* H3: an alarm where it is too late to put it right. */
START_TEST(time_out_that_cannot_be_changed_is_an_alarm_once)
{
	unsigned n;

	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "30\n");
	eventually(log_count("cmd_time_out=30") == 1);
	n = record_count("vol1/cmd_time_out=0");
	stays(record_count("vol1/cmd_time_out=0") == n && log_count("ALARM") == 1, 300);
}
END_TEST

/* H2 and H3: hbad is told, so that it executes nothing that the kernel has given up; with an empty ring. */
START_TEST(time_out_that_cannot_be_changed_is_told_to_hbad)
{
	unsigned opens = hbad_count(fake.a, "OPEN");

	ck_assert_ptr_null(strstr(hbad_log(fake.a, "OPEN", 0), "time_out"));
	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "30\n");
	eventually(hbad_count(fake.a, "OPEN") == opens + 1);
	ck_assert_ptr_nonnull(strstr(hbad_log(fake.a, "OPEN", opens), " time_out=30"));
	ck_assert_uint_eq(hbad_count(fake.a, "CLOSE"), 1);
	ck_assert_int_lt(record_index("vol1/block_dev=1", 0), record_index("vol1/reset_ring=1", 0));
	eventually(record_count("vol1/block_dev=0") > 0);
	/* once */
	stays(hbad_count(fake.a, "OPEN") == opens + 1, 300);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* The cure that the alarm asks for. */
START_TEST(time_out_that_was_cured_is_told_too)
{
	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "30\n");
	eventually(log_count("after 30 s") == 1);
	eventually(record_count("vol1/block_dev=0") > 0);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "0\n");
	eventually(log_count("gives no command up any more") == 1);
	ck_assert_uint_eq(log_count("gives commands up"), 1);
}
END_TEST

/* Somebody may have the ring until hbad has confirmed that it has not. */
START_TEST(time_out_is_not_told_by_a_ring_that_is_in_use)
{
	act(HANDOFF_CLOSE, ACT_SILENT);
	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "30\n");
	eventually(hbad_count(fake.a, "CLOSE") >= 2);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	act(HANDOFF_CLOSE, ACT_OK);
	eventually(record_count("vol1/block_dev=0") > 0);
}
END_TEST

/* H9: what it had finished and not published would be answered with BUSY, and done twice. */
START_TEST(hbad_that_dies_when_it_is_to_be_told_loses_no_completion)
{
	act(HANDOFF_CLOSE, ACT_DIE);
	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "30\n");
	eventually(record_count("vol1/reset_ring=1") > 0);
	ck_assert_uint_eq(kicks(dev), 1);
}
END_TEST

START_TEST(time_out_that_is_right_and_fixed_is_no_alarm)
{
	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "0\n");
	stays(!log_count("ALARM") && !hbad_count(fake.a, "CLOSE"), 300);
}
END_TEST

START_TEST(end_of_the_plugin_ends_the_watcher)
{
	unsigned n;

	record_fail("vol1/block_dev", ENOENT);
	fake.handler->close(dev);
	fake.handler->destroy();
	n = record_total();
	kill(fake.a->pid, SIGKILL);
	stays(record_total() == n, 200);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handler watch");
	TCase *t = tcase_create("watch"), *never = tcase_create("at once"), *slow = tcase_create("away");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, fake_teardown);
	tcase_add_test(t, healthy_hbad_is_left_alone);
	tcase_add_test(t, death_is_answered_with_kick_block_reset);
	tcase_add_test(t, second_death_is_answered_too);
	tcase_add_test(t, device_that_is_borrowed_is_watched_on);
	tcase_add_test(t, device_that_was_borrowed_meanwhile_is_not_judged_by_it);
	tcase_add_test(t, lost_connection_to_a_living_hbad_resets_nothing);
	tcase_add_test(t, living_hbad_that_does_not_let_watch_is_killed_in_time);
	tcase_add_test(t, living_hbad_that_refuses_to_be_watched_is_left_alone);
	tcase_add_test(t, frozen_hbad_is_killed_when_its_time_is_up);
	tcase_add_loop_test(t, hbad_that_does_not_answer_pings_is_killed, 0, 2);
	tcase_add_test(t, dropped_device_is_taken_back_guarded_and_offered_again);
	tcase_add_test(t, dropped_device_whose_take_back_fails_is_taken_back_later);
	tcase_add_test(t, hbad_that_confirms_nothing_is_heard_meanwhile);
	tcase_add_test(t, dropped_device_whose_hbad_dies_is_offered_to_the_next);
	tcase_add_test(t, short_silence_is_forgiven);
	tcase_add_test(t, runner_that_was_stopped_itself_kills_nobody);
	tcase_add_test(t, runner_that_was_stopped_while_it_asked_kills_nobody);
	tcase_add_test(t, hbad_that_does_not_die_is_blocked_and_not_reset);
	tcase_add_test(t, planned_stop_closes_the_gates_before_it_is_confirmed);
	tcase_add_test(t, device_that_is_borrowed_when_hbad_stops_is_gated_and_has_more_time);
	tcase_add_test(t, stopping_hbad_has_more_time);
	tcase_add_test(t, netlink_replies_are_switched_on_once_and_late);
	tcase_add_test(t, netlink_replies_that_are_on_are_left_alone);
	tcase_add_test(t, all_devices_of_an_instance_are_guarded);
	tcase_add_test(t, refused_device_stays_blocked_and_the_others_are_served);
	tcase_add_test(t, silence_on_start_is_taken_back_before_the_next_attempt);
	tcase_add_test(t, garbage_from_a_living_hbad_resets_nothing);
	tcase_add_test(t, time_out_is_put_right_until_luns_exist);
	tcase_add_test(t, time_out_that_cannot_be_changed_is_an_alarm_once);
	tcase_add_test(t, time_out_that_cannot_be_changed_is_told_to_hbad);
	tcase_add_test(t, time_out_that_was_cured_is_told_too);
	tcase_add_test(t, time_out_is_not_told_by_a_ring_that_is_in_use);
	tcase_add_test(t, hbad_that_dies_when_it_is_to_be_told_loses_no_completion);
	tcase_add_test(t, time_out_that_is_right_and_fixed_is_no_alarm);
	tcase_add_test(t, an_hbad_that_fails_to_start_was_not_back);
	tcase_add_test(t, what_comes_loose_during_a_start_is_a_pause_too);
	tcase_add_test(t, commands_fail_until_the_controller_runs);
	tcase_add_test(t, an_hbad_without_its_controller_is_offered_devices);
	tcase_add_test(t, an_announced_return_is_not_over_with_a_start_that_fails);
	tcase_add_test(t, an_announced_hbad_is_waited_for_longer);
	tcase_add_test(t, an_announced_hbad_is_not_waited_for_without_end);
	tcase_add_test(t, end_of_the_plugin_ends_the_watcher);
	suite_add_tcase(s, t);

	tcase_set_timeout(never, 100);
	tcase_add_checked_fixture(never, setup_never, fake_teardown);
	tcase_add_test(never, death_is_answered_at_once);
	tcase_add_test(never, device_that_comes_back_is_looked_at_at_once);
	suite_add_tcase(s, never);

	tcase_set_timeout(slow, 100);
	tcase_add_checked_fixture(slow, setup_slow, fake_teardown);
	tcase_add_test(slow, commands_fail_when_hbad_stays_away);
	suite_add_tcase(s, slow);
	return s;
}

int main(void)
{
	return run_suite(suite());
}

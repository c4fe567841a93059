/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol between hbactl and hbad: a SOCK_STREAM unix socket, HBAD_RUNTIME_DIR "/NAME/"
 * PROTO_SOCKET, mode 0660. One request line of JSON, one reply line of JSON, in turn, as often as the
 * client likes; a line ends with a newline and holds one object. hbad closes a connection after a line
 * that is too long, and after PROTO_IDLE_MS of silence.
 *
 *   request   {"verb": "status"}
 *   failure   {"error": "a sentence for the administrator"}
 *
 * Fields may be added to replies: readers ignore what they do not know. Numbers are integers. Times are
 * in seconds or milliseconds as the name says, sizes in bytes unless the name says otherwise.
 *
 * verb "status": everything there is
 *   protocol       1 (PROTO_VERSION)
 *   name           "g2"
 *   version        "0.1.0", hbad's
 *   pid            4711
 *   uptime_s       since hbad started
 *   state          "booting", "ready", "resetting", "failed", "removed", "stopping"
 *   problem        what is wrong, a sentence; "" when nothing is
 *   taken_over     bool: the controller was not started, but taken over as it ran from the hbad before (verb "upgrade")
 *   start_note     why it was started although that was asked for, a sentence; ""
 *   device         "0000:03:00.0"
 *   kernel_driver  "megaraid_sas", or ""
 *   controller     null while it boots, else {product, serial, firmware, driver, cache_mb,
 *                  battery (bool)}
 *   limits         null while it boots, else {queue_depth, max_transfer, max_segments,
 *                  max_segment_bytes}
 *   handler        {connected (bool), version}: the tcmu-runner handler that watches this instance
 *   rescans        how many rescans have ended
 *   rescanning     bool: one is going on
 *   rescan_problem what was wrong with the last one, a sentence; ""
 *   units, luns, stats    as below
 *   io_threads     [ {thread (number, from 0), inflight (commands at the controller), heartbeat_age_ms, luns ([ names of the
 *                  LIO backstores that it serves ])} ]
 *   refused        [ {time ("2026-11-21T11:20:33Z", UTC), device (name of the LIO backstore), cfgstring, reason (a
 *                  sentence)} ]: backstores that were not taken, or did not get another size, the newest first; at
 *                  most 8. Each of them once, until it is taken
 *
 * verb "units": {"units": [ one object per unit of the controller ]}
 *   name           "ld0", "pd8"
 *   kind           "ld" (logical drive) or "pd" (physical drive)
 *   raid           "RAID 5", or ""
 *   state          "optimal", "degraded", "offline"
 *   naa            "naa.6001…", the stable name; "" when the unit could not be asked
 *   naa_from_unit  bool; false: derived from vendor, product and serial number
 *   serial, vendor, product, revision    strings, maybe empty
 *   blocks, block_size, size_bytes       numbers; block_size 0 when the unit could not be asked
 *   write_back       bool: the controller acknowledges writes from its cache ...
 *   cache_protected  bool: ... which survives a power cut
 *   disk_cache       bool: member disks may have a volatile cache of their own
 *   exportable     bool
 *   problem        why it cannot be exported, to go on after the unit's name ("is not a disk"); ""
 *                  when it can
 *   exported_by    name of the LIO backstore that serves it now; "" when none
 *
 * verb "luns": {"luns": [ one object per LUN taken over from tcmu-runner ]}
 *   device         name of the LIO backstore
 *   cfgstring      "hba/g2/ld0;ro=1"
 *   unit           "ld0"; as named in the cfgstring when the controller is not up
 *   state          "prepared" (OPENed), "held" (STARTed; waits for commands of the unit's earlier
 *                  ring), "serving", "dropped" (the kernel took the ring away), "orphan" (let go of,
 *                  commands still at the controller)
 *   reason         why it was dropped, "" otherwise
 *   gate           "open", "becoming ready", "no unit", "gone", "held" (commands wait for a controller that is gone)
 *   io_thread      number of the I/O thread that serves it
 *   ro             bool
 *   blocks, block_size    as the backstore was created
 *   busy           commands taken and not yet answered
 *   outstanding    commands that this ring has at the controller
 *   stats          {commands, completions, batches, tmrs, aged, residuals, invalid, tasks, reads,
 *                  writes, read_bytes, write_bytes, flushes, errors}
 *
 * verb "stats": {"stats": {requests, errors, timeouts, aborts, resets, reset_pauses (how many of them were put off),
 *                reissues, interrupts, flushes, inflight, heartbeat_age_ms (the oldest of all I/O threads)}, "luns": as above}
 *
 * verb "events": with {"since": N}, a whole number, those behind number N that are still known (the last 512)
 *   pid            numbers begin again when another process answers
 *   state          as in "status"
 *   last           number of the newest one, 0: none yet. Without "since" this is all
 *   events         [ {seq, time_us (since 1970, UTC), event, unit ("ld0"; "" for the controller), naa, text} ]
 *                  event: "controller-gone", "controller-failed", "controller-away" (looked for in vain, for a reason
 *                  that is new), "controller-refused" (another one is in its place), "controller-back",
 *                  "controller-reset", "controller-running", "controller-event" and "rebuild" (firmware's own words),
 *                  "events-lost", "own-use" (text names what hbad needs and has on a LUN of its own), "refused" (a backstore, as in "status"; text names it), "unit-added", "unit-removed",
 *                  "unit-offline", "unit-online", "unit-degraded", "unit-optimal", "unit-resized", "unit-replaced";
 *                  there may be more
 *
 * verb "rescan": starts to look at all units anew; {rescans, rescanning, rescan_problem} as in "status". It has ended when "status" has a higher count.
 *
 * verb "upgrade": for root (and hbad's own user) only: stops as on SIGTERM, but leaves the controller running for the hbad
 * that systemd starts next; {pid, in_place (bool: nothing is known that prevents that), reason (what does, a sentence; "")}.
 * What came of it is told by the "status" of another pid: taken_over and start_note.
 */
#ifndef HBAD_CONTROL_PROTO_H
#define HBAD_CONTROL_PROTO_H

#include <stdint.h>
#include "base/err.h"

#define PROTO_VERSION	  1
#define PROTO_SOCKET	  "control.sock"
#define PROTO_MAX_REQUEST 4096 /* bytes of a request line with its end */
#define PROTO_MAX_REPLY	  (4u << 20)
#define PROTO_IDLE_MS	  60000
#define PROTO_CALL_MS	  5000 /* a sensible deadline for a client */

/*
 * The client's side, for hbactl: connects to RUNTIME_DIR/NAME/control.sock (runtime_dir NULL:
 * HBAD_RUNTIME_DIR), sends {"verb": verb}, and waits at most timeout_ms in all. *ret is the reply's line
 * without its end, allocated with malloc(); a reply that is an {"error"} comes as -EREMOTEIO with hbad's
 * sentence. -ENOENT or -ECONNREFUSED: the instance does not run (and the sentence says how to start it);
 * -ETIMEDOUT, -EACCES, -EPROTO.
 */
int proto_call(const char *runtime_dir, const char *name, const char *verb, unsigned timeout_ms, char **ret,
	struct err *e);

/* The same with the verb "events"; since < 0: without it. */
int proto_events(const char *runtime_dir, const char *name, int64_t since, unsigned timeout_ms, char **ret,
	struct err *e);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The binary interface of tcmu-runner 1.5.4 (Debian 12 and 13) as far as this plugin uses it. No Debian package
 * installs tcmu-runner's headers, so the facts are restated here: the order of the fields of the handler
 * structure and the prototypes of what the runner and libtcmu export to plugins.
 */
#ifndef HBAD_HANDLER_TCMU_ABI_H
#define HBAD_HANDLER_TCMU_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tcmu_device;
struct tcmur_cmd;

enum { TCMU_STS_NOT_HANDLED = -1 };

enum tcmulib_cfg_type { TCMULIB_CFG_DEV_CFGSTR, TCMULIB_CFG_DEV_SIZE, TCMULIB_CFG_WRITE_CACHE };

struct tcmulib_cfg_info {
	enum tcmulib_cfg_type type;
	union {
		uint64_t dev_size; /* bytes */
		char *dev_cfgstring;
		bool write_cache;
	} data;
};

/* Callbacks this plugin leaves NULL are declared without their parameters. */
struct tcmur_handler {
	const char *name;
	const char *subtype;
	const char *cfg_desc;
	void *opaque;
	/* *reason is freed by the runner; looked at only when false is returned. */
	bool (*check_config)(const char *cfgstring, char **reason);
	int (*reconfig)(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg);
	int (*open)(struct tcmu_device *dev, bool reopen);
	void (*close)(struct tcmu_device *dev);
	int nr_threads;
	int (*handle_cmd)(struct tcmu_device *dev, struct tcmur_cmd *cmd);
	void (*read)(void);
	void (*write)(void);
	void (*flush)(void);
	void (*unmap)(void);
	void (*writesame)(void);
	void (*caw)(void);
	void (*report_event)(void);
	void (*lock)(void);
	void (*unlock)(void);
	void (*get_lock_tag)(void);
	void (*get_lock_state)(void);
	bool is_dbus_handler; /* the runner's own */
	bool (*update_logdir)(void);
	int (*init)(void);
	void (*destroy)(void);
};

#if defined(__x86_64__) && !defined(__ILP32__)
static_assert(offsetof(struct tcmur_handler, check_config) == 32, "tcmur_handler.check_config");
static_assert(offsetof(struct tcmur_handler, reconfig) == 40, "tcmur_handler.reconfig");
static_assert(offsetof(struct tcmur_handler, open) == 48, "tcmur_handler.open");
static_assert(offsetof(struct tcmur_handler, close) == 56, "tcmur_handler.close");
static_assert(offsetof(struct tcmur_handler, nr_threads) == 64, "tcmur_handler.nr_threads");
static_assert(offsetof(struct tcmur_handler, handle_cmd) == 72, "tcmur_handler.handle_cmd");
static_assert(offsetof(struct tcmur_handler, read) == 80, "tcmur_handler.read");
static_assert(offsetof(struct tcmur_handler, flush) == 96, "tcmur_handler.flush");
static_assert(offsetof(struct tcmur_handler, report_event) == 128, "tcmur_handler.report_event");
static_assert(offsetof(struct tcmur_handler, get_lock_state) == 160, "tcmur_handler.get_lock_state");
static_assert(offsetof(struct tcmur_handler, is_dbus_handler) == 168, "tcmur_handler._is_dbus_handler");
static_assert(offsetof(struct tcmur_handler, update_logdir) == 176, "tcmur_handler.update_logdir");
static_assert(offsetof(struct tcmur_handler, init) == 184, "tcmur_handler.init");
static_assert(offsetof(struct tcmur_handler, destroy) == 192, "tcmur_handler.destroy");
static_assert(sizeof(struct tcmur_handler) == 200, "tcmur_handler");
static_assert(offsetof(struct tcmulib_cfg_info, data) == 8, "tcmulib_cfg_info.data");
#endif

/* Exported by tcmu-runner itself. Non-zero: a handler of this subtype is registered already. */
int tcmur_register_handler(struct tcmur_handler *handler);
void tcmur_dev_set_private(struct tcmu_device *dev, void *priv);
void *tcmur_dev_get_private(struct tcmu_device *dev);

/* libtcmu */
int tcmu_dev_get_fd(struct tcmu_device *dev);
const char *tcmu_dev_get_uio_name(struct tcmu_device *dev); /* "uio3" */
char *tcmu_dev_get_cfgstring(struct tcmu_device *dev);
uint64_t tcmu_dev_get_num_lbas(struct tcmu_device *dev);
uint32_t tcmu_dev_get_block_size(struct tcmu_device *dev);
/* Returns the device node's path, to be freed; NULL on failure. */
char *tcmu_dev_get_memory_info(struct tcmu_device *dev, void **base, size_t *len, off_t *offset);

/* libtcmu's log: 255 bytes per line with its own prefix. Weak: the plugin also works, less visibly, without it. */
#define TCMU_LOG_FN(name)                                                                                    \
	__attribute__((weak, format(printf, 4, 5))) void name(                                               \
		struct tcmu_device *dev, const char *function, int line, const char *fmt, ...)
TCMU_LOG_FN(tcmu_err_message);
TCMU_LOG_FN(tcmu_warn_message);
TCMU_LOG_FN(tcmu_info_message);

#endif

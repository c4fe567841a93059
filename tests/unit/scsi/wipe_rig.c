/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include "base/endian.h"
#include "wipe_rig.h"

struct fx x;

void use_lun(const char *text)
{
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, text);
}

void setup(void)
{
	fx_setup(&x, BLOCKS);
	use_lun("ld0;allow=format+sanitize");
}
void teardown(void)
{
	fx_teardown(&x);
}

void start(struct tst *t, const void *cdb, size_t cdb_len, const void *list, size_t len)
{
	tst_init(t, x.lun, cdb, cdb_len, len, len ? MIN(len, 2) : 0);
	if (len)
		memcpy(t->buf, list, len);
	t->filled = true;
	tst_submit(t);
}

void format(struct tst *t, uint8_t byte1, const void *list, size_t len)
{
	uint8_t cdb[6] = {0x04, byte1};

	start(t, cdb, 6, list, len);
}

void overwrite(struct tst *t, uint8_t byte1, uint8_t byte0, const void *pattern, uint16_t len)
{
	uint8_t cdb[10] = {0x48, byte1 | 0x01}, list[5000];

	put_be16(cdb + 7, (uint16_t)(4 + len));
	list[0] = byte0;
	list[1] = 0;
	put_be16(list + 2, len);
	memcpy(list + 4, pattern, len);
	start(t, cdb, 10, list, 4U + len);
}

void exit_failure(struct tst *t)
{
	start(t, "\x48\x1f\0\0\0\0\0\0\0\0", 10, NULL, 0);
}

void tur(struct tst *t)
{
	tst_init(t, x.lun, "\0\0\0\0\0\0", 6, 0, 0);
	tst_submit(t);
}

void assert_tur_good(void)
{
	struct tst t;

	tst_do(&t, &x, "\0\0\0\0\0\0", 6, 0);
	assert_good(&t);
	tst_fini(&t);
}

void assert_tur(uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct tst t;

	tur(&t);
	assert_check(&t, key, asc, ascq);
	tst_fini(&t);
}

bool holds(const uint8_t *pattern, size_t len)
{
	for (uint32_t i = 0; i < BLOCKS * 512U; i++)
		if (x.disk->store[i] != pattern[i % 512 % len])
			return false;
	return true;
}

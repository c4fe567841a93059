/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making and ending scripted hbads; for fake.c. */
#ifndef HBAD_TEST_HANDLER_FAKE_HBAD_H
#define HBAD_TEST_HANDLER_FAKE_HBAD_H

struct fake_hbad;

struct fake_hbad *hbad_new(const char *instance);
void hbad_free(struct fake_hbad *h);

#endif

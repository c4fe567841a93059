/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same requests as Linux' driver has sent them (linux_sas3108.h), built here: all bytes are the same but for fields that
 * are different on purpose, which are named, and must differ.
 */
#include <check.h>
#include <string.h>

#include "hba/megaraid/fusion.h"
#include "tests/unit/linux_sas3108.h"
#include "tests/unit/run_suite.h"

struct intent {
	const char *field; /* NULL ends the list */
	unsigned off, len;
};

static const struct intent *intent_at(const struct intent *i, unsigned off)
{
	for (; i->field; i++)
		if (off >= i->off && off < i->off + i->len)
			return i;
	return NULL;
}

static void compare(const void *ours, const uint8_t *theirs, unsigned size, const struct intent *intents)
{
	const uint8_t *o = ours;

	for (unsigned at = 0; at < size; at++)
		ck_assert_msg(o[at] == theirs[at] || intent_at(intents, at),
			"byte %02x is %02x, Linux sends %02x", at, o[at], theirs[at]);
	for (const struct intent *i = intents; i->field; i++)
		ck_assert_msg(memcmp(o + i->off, theirs + i->off, i->len) != 0, "%s is as Linux sends it",
			i->field);
}

static const struct intent none[] = {{0}};

static struct fusion_request frame;
static uint8_t chain[FUSION_CHAIN_SLOT];

static uint32_t sense_of(const uint8_t *theirs)
{
	le32_t sense;

	memcpy(&sense, theirs + offsetof(struct fusion_request, sense), sizeof(sense));
	return le32_to_cpu(sense);
}

/* Of the logical drive with target 0. */
static struct fusion_io read_of(
	const struct dma_seg *seg, uint32_t n, const uint8_t *theirs, uint64_t lba, uint8_t cdb[16])
{
	const struct hba_req req = {.kind = HBA_REQ_RW,
		.lba = lba,
		.nblocks = n * 8,
		.block_size = 512,
		.xfer = {.dir = DMA_FROM_DEVICE, .len = n * 4096}};

	return (struct fusion_io){
		.function = FUSION_FN_LD_IO,
		.rw = true,
		.ld = true,
		.timeout_s = 30,
		.sense = sense_of(theirs),
		.chain = CHAIN,
		.chain_cpu = chain,
		.cdb_len = fusion_rw_cdb(&req, cdb),
		.cdb = cdb,
		.dir = DMA_FROM_DEVICE,
		.bytes = n * 4096,
		.seg = seg,
		.n_seg = n,
	};
}

/* Rows and sequence numbers are of the RAID map, which is not read here: nothing is locked by the driver. */
#define NO_RAID_MAP                                                                                          \
	{"region lock length", 0x70, 1},                                                                     \
	{                                                                                                    \
		"configuration sequence", 0x7a, 1                                                            \
	}

START_TEST(a_read)
{
	static const struct intent intents[] = {NO_RAID_MAP, {0}};
	const struct dma_seg seg = {pages[15], 4096};
	uint8_t cdb[16];
	struct fusion_io io = read_of(&seg, 1, read_request, 0, cdb);

	fusion_build_io(&fusion_gen_invader, &frame, &io);
	compare(&frame, read_request, sizeof(read_request), intents);
	ck_assert_uint_eq(fusion_descriptor(fusion_gen_invader.ld_rw, 2, 0x375, 0), READ_DESC);
}
END_TEST

START_TEST(a_read_with_a_chain)
{
	static const struct intent intents[] = {{"region lock row", 0x68, 1}, NO_RAID_MAP, {0}};
	struct dma_seg seg[15] = {{0}};
	uint8_t cdb[16];
	struct fusion_io io = read_of(seg, 15, chained_request, 136, cdb);

	for (unsigned i = 0; i < 15; i++)
		seg[i] = (struct dma_seg){pages[i], 4096};
	fusion_build_io(&fusion_gen_invader, &frame, &io);
	compare(&frame, chained_request, sizeof(chained_request), intents);
	compare(chain, chain_frame, sizeof(chain_frame), none);
	ck_assert_uint_eq(fusion_descriptor(fusion_gen_invader.ld_rw, 2, 0x35d, 0), CHAINED_DESC);
}
END_TEST

/* What is no read or write of a drive goes through firmware here, Linux sends it directly as long as it need not abort it. */
START_TEST(an_inquiry_of_a_system_drive)
{
	static const struct intent intents[] = {
		{"function", 0x03, 1},
		{"IoFlags: fast path", 0x25, 1},
		{"timeout: the erratum of the fast path", 0x62, 1},
		{0},
	};
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 0x24, 0};
	const struct dma_seg seg = {0x101bdcb00, 36};
	struct fusion_io io = {
		.function = FUSION_FN_LD_IO,
		.handle = FUSION_NO_HANDLE,
		.target = 8,
		.timeout_s = 20,
		.sense = sense_of(inquiry_request),
		.cdb = inquiry,
		.cdb_len = sizeof(inquiry),
		.dir = DMA_FROM_DEVICE,
		.bytes = 36,
		.seg = &seg,
		.n_seg = 1,
	};

	fusion_build_io(&fusion_gen_invader, &frame, &io);
	compare(&frame, inquiry_request, sizeof(inquiry_request), intents);
	/* Had it gone directly, all but the handle's place would be the same. */
	io.function = FUSION_FN_SCSI_IO;
	io.fast_path = true;
	fusion_build_io(&fusion_gen_invader, &frame, &io);
	compare(&frame, inquiry_request, sizeof(inquiry_request), none);
	ck_assert_uint_eq(fusion_descriptor(FUSION_TYPE_FP_IO, 2, 0x341, FUSION_NO_HANDLE), INQUIRY_DESC);
}
END_TEST

START_TEST(a_dcmd_passed_through)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_CTRL_GET_INFO, .mbox = {1}, .dir = DMA_FROM_DEVICE, .len = 0x950};
	uint8_t mfi[sizeof(info_frame)] = {0};

	fusion_build_pass(&frame, INFO_FRAME);
	compare(&frame, info_request, sizeof(info_request), none);
	mfi_build_dcmd(mfi, 0, false, &d, INFO_DATA);
	compare(mfi, info_frame, sizeof(info_frame), none);
	ck_assert_uint_eq(fusion_descriptor(FUSION_TYPE_SCSI_IO, 0, 0x3e5, 0), INFO_DESC);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("what Linux sends");
	TCase *t = tcase_create("sas3108");

	tcase_add_test(t, a_read);
	tcase_add_test(t, a_read_with_a_chain);
	tcase_add_test(t, an_inquiry_of_a_system_drive);
	tcase_add_test(t, a_dcmd_passed_through);
	suite_add_tcase(s, t);
	return run_suite(s);
}

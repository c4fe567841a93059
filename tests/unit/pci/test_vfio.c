/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VFIO transport against a made-up kernel: what it sets up, says when a step fails, and gives back. */
#include <errno.h>
#include <sys/mman.h>

#include "fake_tree.h"
#include "daemon/pci/vfio.h"
#include "drop_caps.h"

enum { CONTAINER = 100, GROUP, DEVICE, EVENT, AGAIN, N_FD }; /* AGAIN: the device a second time */
#define CFG_OFF	   (UINT64_C(7) << 40)
#define BAR_OFF(n) ((uint64_t)(n) << 40)

/* The made-up kernel. */
static struct {
	bool open[N_FD];
	unsigned long fail_request; /* this ioctl */
	unsigned fail_nth;	    /* its n-th call, from 1 */
	int fail_errno;
	const char *fail_open; /* this path */
	int fail_eventfd, fail_mmap, fail_pread_cfg;
	int api, positive_irqs;
	bool no_v2, no_v1, not_viable, in_container, not_pci, no_reset, no_request, no_iova, no_unmap_all;
	uint64_t sparse; /* the only area: 0 to here; 0: no capability */
	uint8_t cfg[256];
	uint8_t bar1[0x4000];
	unsigned mapped;
	uint64_t unmap_size;
	char log[4096];
} k;

static struct err e;

static void logf_(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void logf_(const char *fmt, ...)
{
	size_t len = strlen(k.log);
	va_list ap;

	va_start(ap, fmt);
	if (len)
		strcat(k.log, " "), len++;
	vsnprintf(k.log + len, sizeof(k.log) - len, fmt, ap);
	va_end(ap);
}

static int refuse(int err)
{
	errno = err;
	return -1;
}

static int k_new(int fd)
{
	ck_assert(!k.open[fd]);
	k.open[fd] = true;
	return fd;
}

static int k_open(const char *path, int flags)
{
	if (k.fail_open && strcmp(path, k.fail_open) == 0)
		return refuse(k.fail_errno);
	if (strcmp(path, "/dev/vfio/vfio") == 0)
		return k_new(CONTAINER);
	ck_assert_str_eq(path, "/dev/vfio/12");
	return k_new(GROUP);
}

static int k_close(int fd)
{
	ck_assert_int_ge(fd, CONTAINER);
	ck_assert(k.open[fd]);
	k.open[fd] = false;
	logf_("close%d", fd);
	return 0;
}

static int k_eventfd(unsigned initial, int flags)
{
	return k.fail_eventfd ? refuse(k.fail_eventfd) : k_new(EVENT);
}

static int region_info(struct vfio_region_info *r)
{
	uint32_t have = r->argsz;

	r->argsz = sizeof(*r);
	r->offset = BAR_OFF(r->index);
	r->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	r->size = 0;
	if (r->index == VFIO_PCI_CONFIG_REGION_INDEX)
		r->size = 256;
	if (r->index == 0)
		r->size = 256;
	if (r->index == 1) {
		r->size = sizeof(k.bar1);
		r->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		if (k.sparse) {
			const uint64_t cap[] = {0x10001, 1, 0, k.sparse};

			r->flags |= VFIO_REGION_INFO_FLAG_CAPS;
			r->argsz = sizeof(*r) + sizeof(cap);
			r->cap_offset = sizeof(*r);
			if (have >= r->argsz)
				memcpy(r + 1, cap, sizeof(cap));
			else
				r->cap_offset = 0;
		}
	}
	return 0;
}

static int iommu_info(struct vfio_iommu_type1_info *i)
{
	static const uint64_t cap[] = {
		0x10001 | UINT64_C(72) << 32, 2, 0x1000, 0xfedfffff, 0xfef00000, 0xffffffffff, 0x10003, 500};
	uint32_t have = i->argsz;

	i->flags = VFIO_IOMMU_INFO_PGSIZES;
	i->iova_pgsizes = 0x40201000;
	i->cap_offset = 0;
	if (k.no_iova)
		return 0;
	i->flags |= VFIO_IOMMU_INFO_CAPS;
	i->argsz = sizeof(*i) + sizeof(cap);
	if (have >= i->argsz) {
		i->cap_offset = sizeof(*i);
		memcpy(i + 1, cap, sizeof(cap));
	}
	return 0;
}

static int irq_info(struct vfio_irq_info *i)
{
	static const uint32_t count[] = {1, 1, 15, 1, 1};

	if (i->index == VFIO_PCI_REQ_IRQ_INDEX && k.no_request)
		return refuse(EINVAL);
	i->count = count[i->index];
	i->flags = VFIO_IRQ_INFO_EVENTFD;
	return 0;
}

static int set_irqs(const struct vfio_irq_set *s)
{
	ck_assert_uint_eq(s->argsz, sizeof(*s) + (s->flags & VFIO_IRQ_SET_DATA_EVENTFD ? s->count * 4 : 0));
	logf_("irq%u:%x+%u", s->index, s->flags, s->count);
	if (s->index != VFIO_PCI_REQ_IRQ_INDEX && s->count && k.positive_irqs)
		return k.positive_irqs;
	return 0;
}

static int k_ioctl_ok(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return k.api;
	case VFIO_CHECK_EXTENSION:
		if ((uintptr_t)arg == VFIO_UNMAP_ALL)
			return !k.no_unmap_all;
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU ? !k.no_v2 : !k.no_v1;
	case VFIO_GROUP_GET_STATUS:
		ck_assert_int_eq(fd, GROUP);
		((struct vfio_group_status *)arg)->flags =
			(k.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE) |
			(k.in_container ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		ck_assert_int_eq(fd, GROUP);
		ck_assert_int_eq(*(int *)arg, CONTAINER);
		return 0;
	case VFIO_SET_IOMMU:
		logf_("type%u", (unsigned)(uintptr_t)arg);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		ck_assert_str_eq(arg, HBA);
		return k_new(k.open[DEVICE] ? AGAIN : DEVICE);
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)arg)->flags =
			(k.not_pci ? 0 : VFIO_DEVICE_FLAGS_PCI) | (k.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return irq_info(arg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(arg);
	case VFIO_DEVICE_RESET:
		logf_("reset");
		return 0;
	case VFIO_IOMMU_GET_INFO:
		return iommu_info(arg);
	case VFIO_IOMMU_MAP_DMA:
		logf_("map%llx", (unsigned long long)((struct vfio_iommu_type1_dma_map *)arg)->iova);
		return 0;
	case VFIO_IOMMU_UNMAP_DMA: {
		struct vfio_iommu_type1_dma_unmap *u = arg;

		logf_("unmap:%x", u->flags);
		if (k.unmap_size)
			u->size = k.unmap_size;
		return 0;
	}
	default:
		ck_abort_msg("ioctl %lx", request);
		return -1;
	}
}

static int k_ioctl(int fd, unsigned long request, void *arg)
{
	ck_assert(k.open[fd]);
	if (request == k.fail_request && --k.fail_nth == 0)
		return refuse(k.fail_errno);
	return k_ioctl_ok(fd, request, arg);
}

static uint8_t *space(off_t off, size_t len)
{
	if ((uint64_t)off >= CFG_OFF && (uint64_t)off - CFG_OFF + len <= sizeof(k.cfg))
		return k.cfg + ((uint64_t)off - CFG_OFF);
	ck_assert_uint_ge((uint64_t)off, BAR_OFF(1));
	ck_assert_uint_le((uint64_t)off - BAR_OFF(1) + len, sizeof(k.bar1));
	return k.bar1 + ((uint64_t)off - BAR_OFF(1));
}

static ssize_t k_pread(int fd, void *buf, size_t len, off_t off)
{
	ck_assert(fd == DEVICE || fd == AGAIN);
	if ((uint64_t)off >= CFG_OFF && k.fail_pread_cfg)
		return refuse(k.fail_pread_cfg);
	memcpy(buf, space(off, len), len);
	return (ssize_t)len;
}

static ssize_t k_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	ck_assert(fd == DEVICE || fd == AGAIN);
	memcpy(space(off, len), buf, len);
	if ((uint64_t)off == CFG_OFF + 4)
		logf_("cmd=%x", *(const uint8_t *)buf);
	return (ssize_t)len;
}

static void *k_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (k.fail_mmap) {
		errno = k.fail_mmap;
		return MAP_FAILED;
	}
	ck_assert_uint_eq((uint64_t)off, BAR_OFF(1));
	ck_assert_int_eq(prot, PROT_READ | PROT_WRITE);
	k.mapped = (unsigned)len;
	return k.bar1;
}

static int k_munmap(void *addr, size_t len)
{
	ck_assert_ptr_eq(addr, k.bar1);
	ck_assert_uint_eq(len, k.mapped);
	k.mapped = 0;
	logf_("munmap");
	return 0;
}

static const struct vfio_sys kernel = {
	k_open, k_close, k_ioctl, k_pread, k_pwrite, k_mmap, k_munmap, k_eventfd};

static void setup(void)
{
	static const uint8_t ids[] = {0x00, 0x10, 0x79, 0x00, 0x07, 0x00, 0x10, 0x00, 0x05, 0x00, 0x04, 0x01};
	static const uint8_t sub[] = {0x28, 0x10, 0x17, 0x1f};

	memset(&k, 0, sizeof(k));
	memset(&e, 0, sizeof(e));
	k.api = VFIO_API_VERSION;
	memcpy(k.cfg, ids, sizeof(ids));
	k.cfg[0x10] = 1; /* BAR 0: I/O */
	memcpy(k.cfg + 0x2c, sub, sizeof(sub));
	root_make();
	put_function(HBA, "0x010400", 12, "vfio-pci");
}

static void all_closed(void)
{
	for (int fd = 0; fd < N_FD; fd++)
		ck_assert_msg(!k.open[fd], "descriptor %d is still open", fd);
	ck_assert_uint_eq(k.mapped, 0);
}

static struct pci_dev *opened(void)
{
	struct pci_dev *dev = NULL;

	ck_assert_msg(vfio_open(root, &kernel, HBA, &dev, &e) == 0, "%s", e.text);
	return dev;
}

START_TEST(open_device_is_described)
{
	struct pci_dev *dev = opened();

	ck_assert_uint_eq(dev->id.vendor, 0x1000);
	ck_assert_uint_eq(dev->id.device, 0x0079);
	ck_assert_uint_eq(dev->id.subvendor, 0x1028);
	ck_assert_uint_eq(dev->id.subdevice, 0x1f17);
	ck_assert_uint_eq(dev->id.class_code, 0x010400);
	ck_assert_uint_eq(dev->id.revision, 5);
	ck_assert(dev->bar[0].is_io && dev->bar[0].size == 256);
	ck_assert(!dev->bar[1].is_io && dev->bar[1].size == 0x4000);
	ck_assert_uint_eq(dev->bar[2].size, 0);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_INTX], 1);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSI], 1);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSIX], 15);
	ck_assert_uint_eq(dev->n_iova, 2);
	ck_assert_uint_eq(dev->iova[0].first, 0x1000);
	ck_assert_uint_eq(dev->iova[1].last, 0xffffffffff);
	ck_assert_uint_eq(dev->dma_map_limit, 500);
	ck_assert_uint_eq(dev->dma_page, 4096);
	ck_assert_int_eq(dev->request_fd, EVENT);
	/* decoding on, DMA off */
	ck_assert_uint_eq(k.cfg[4], 0x03);
	pci_close(dev);
	all_closed();
}
END_TEST

START_TEST(closing_quiets_the_device_before_it_lets_go)
{
	int fd[2] = {200, 201};
	struct pci_dev *dev = opened();

	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 2, &e), 0);
	ck_assert_int_eq(pci_set_bus_master(dev, true), 0);
	k.log[0] = '\0';
	pci_close(dev);
	/* MSI-X off, notifier off, bus master off, BAR, all DMA, then descriptors */
	ck_assert_str_eq(
		k.log, "irq2:21+0 irq4:21+0 close103 cmd=3 munmap unmap:2 close102 close101 close100");
	all_closed();
}
END_TEST

START_TEST(old_kernels_do_without_v2_notifier_and_unmap_all)
{
	struct pci_dev *dev;

	k.no_v2 = k.no_request = k.no_unmap_all = true;
	dev = opened();
	ck_assert_int_eq(dev->request_fd, -1);
	ck_assert_msg(strstr(k.log, "type1 ") || strstr(k.log, "type1"), "%s", k.log);
	pci_close(dev);
	ck_assert_ptr_null(strstr(k.log, "unmap"));
	all_closed();
}
END_TEST

START_TEST(version_2_is_preferred)
{
	pci_close(opened());
	ck_assert_msg(strncmp(k.log, "type3", 5) == 0, "%s", k.log);
}
END_TEST

/* --- sentences --- */

static void no_device(void)
{
	drop("/sys/bus/pci/devices/" HBA);
}
static void kernel_driver(void)
{
	put_function(HBA, "0x010400", 12, NULL);
	put_link("/sys/bus/pci/devices/" HBA "/driver", "../../drivers/megaraid_sas");
}
static void no_driver(void)
{
	drop("/sys/bus/pci/devices/" HBA "/driver");
}
static void no_group(void)
{
	drop("/sys/bus/pci/devices/" HBA "/iommu_group");
}
static void noiommu_group(void)
{
	put("/sys/kernel/iommu_groups/12/name", "vfio-noiommu\n");
}
static void open_fails(const char *path, int err)
{
	k.fail_open = path;
	k.fail_errno = err;
}
static void noiommu_node(void)
{
	put("/dev/vfio/noiommu-12", "%s", "");
	open_fails("/dev/vfio/12", ENOENT);
}
static void no_container(void)
{
	open_fails("/dev/vfio/vfio", ENOENT);
}
static void container_denied(void)
{
	open_fails("/dev/vfio/vfio", EACCES);
}
static void group_denied(void)
{
	open_fails("/dev/vfio/12", EPERM);
}
static void group_missing(void)
{
	open_fails("/dev/vfio/12", ENOENT);
}
static void group_gone(void)
{
	open_fails("/dev/vfio/12", ENODEV);
}
static void group_busy(void)
{
	put_link("/proc/812/fd/9", "/dev/vfio/12");
	put("/proc/812/comm", "qemu-system-x86\n");
	open_fails("/dev/vfio/12", EBUSY);
}
static void group_busy_unseen(void)
{
	open_fails("/dev/vfio/12", EBUSY);
}
static void shared_group(void)
{
	put_function("0000:00:1c.0", "0x060400", 12, "pcieport");
	put_function("0000:03:00.1", "0x0c0330", 12, "xhci_hcd");
	put_function("0000:03:00.2", "0x020000", 12, "e1000e");
	k.not_viable = true;
}
static void other_api(void)
{
	k.api = 1;
}
static void no_type1(void)
{
	k.no_v1 = k.no_v2 = true;
}
static void ioctl_fails(unsigned long request, int err)
{
	k.fail_request = request;
	k.fail_nth = 1;
	k.fail_errno = err;
}
static void no_remapping(void)
{
	ioctl_fails(VFIO_SET_IOMMU, EPERM);
}
static void device_busy(void)
{
	ioctl_fails(VFIO_GROUP_GET_DEVICE_FD, EBUSY);
}
static void not_pci(void)
{
	k.not_pci = true;
}
static void gone_reads_ones(void)
{
	memset(k.cfg, 0xff, sizeof(k.cfg));
}
static void gone_fails(void)
{
	/* the first read is a BAR's raw value */
	k.fail_pread_cfg = EIO;
}
static void old_kernel(void)
{
	k.no_iova = true;
}

static const struct {
	const char *what;
	void (*make)(void);
	int code;
	const char *says[3];
} troubles[] = {
	{"no such device", no_device, -ENOENT, {"no PCI device " HBA, "hbactl candidates"}},
	{"kernel driver", kernel_driver, -ENXIO,
		{"kernel driver megaraid_sas", "hbactl attach " HBA, "hbactl bind NAME"}},
	{"no driver", no_driver, -ENXIO, {"has no driver", "hbactl attach " HBA, "hbactl bind NAME"}},
	{"no IOMMU", no_group, -ENODEV, {"no IOMMU group", "VT-d", "intel_iommu=on"}},
	{"no-IOMMU mode", noiommu_group, -EPERM, {"no-IOMMU mode", "switch the IOMMU on"}},
	{"no-IOMMU node", noiommu_node, -EPERM, {"no-IOMMU mode"}},
	{"no container", no_container, -ENOENT, {"/dev/vfio/vfio is missing", "modprobe vfio-pci"}},
	{"container denied", container_denied, -EACCES, {"no permission to open /dev/vfio/vfio", "root"}},
	{"group denied", group_denied, -EPERM, {"no permission to open /dev/vfio/12", HBA}},
	{"group missing", group_missing, -ENOENT, {"/dev/vfio/12 is missing", HBA}},
	{"group gone", group_gone, -ENODEV, {HBA " has just left"}},
	{"group busy", group_busy, -EBUSY,
		{"process 812 (qemu-system-x86) has /dev/vfio/12 open", "stop it first"}},
	{"group busy, unseen", group_busy_unseen, -EBUSY, {"another process has /dev/vfio/12 open"}},
	{"group shared", shared_group, -EBUSY,
		{"0000:03:00.1 (xhci_hcd), 0000:03:00.2 (e1000e):", "another slot"}},
	{"other VFIO", other_api, -ENOTSUP, {"version 1"}},
	{"no type 1", no_type1, -ENOTSUP, {"modprobe vfio_iommu_type1"}},
	{"no remapping", no_remapping, -EPERM, {"interrupt remapping", "RMRR", HBA}},
	{"device busy", device_busy, -EBUSY, {HBA " is in use by another process"}},
	{"not PCI", not_pci, -ENODEV, {"not a PCI device"}},
	{"gone", gone_reads_ones, -ENODEV, {HBA " does not answer", "unplugged"}},
	{"unreadable", gone_fails, -ENODEV, {HBA, "configuration space"}},
	{"old kernel", old_kernel, -ENOTSUP, {"Linux 5.4 or newer"}},
};

START_TEST(trouble_is_named_with_its_cure)
{
	struct pci_dev *dev = NULL;

	troubles[_i].make();
	ck_assert_int_eq(vfio_open(root, &kernel, HBA, &dev, &e), troubles[_i].code);
	for (unsigned i = 0; i < 3 && troubles[_i].says[i]; i++)
		ck_assert_msg(strstr(e.text, troubles[_i].says[i]) != NULL, "%s: \"%s\" lacks \"%s\"",
			troubles[_i].what, e.text, troubles[_i].says[i]);
	ck_assert_ptr_null(dev);
	ck_assert_ptr_null(strstr(e.text, "xhci_hcd), 0000:00:1c.0"));
	all_closed();
}
END_TEST

/* --- every ioctl of set-up fails once --- */

static const struct {
	unsigned long request;
	unsigned nth;
} steps[] = {
	{VFIO_GROUP_GET_STATUS, 1},
	{VFIO_GROUP_SET_CONTAINER, 1},
	{VFIO_SET_IOMMU, 1},
	{VFIO_GROUP_GET_DEVICE_FD, 1},
	{VFIO_DEVICE_GET_INFO, 1},
	{VFIO_DEVICE_GET_REGION_INFO, 1},
	{VFIO_DEVICE_GET_REGION_INFO, 2},
	{VFIO_DEVICE_GET_REGION_INFO, 7},
	{VFIO_DEVICE_GET_IRQ_INFO, 1},
	{VFIO_DEVICE_GET_IRQ_INFO, 3},
	{VFIO_IOMMU_GET_INFO, 1},
	{VFIO_IOMMU_GET_INFO, 2},
	{VFIO_DEVICE_SET_IRQS, 1},
};

START_TEST(failing_step_closes_what_was_open)
{
	struct pci_dev *dev = NULL;

	k.fail_request = steps[_i].request;
	k.fail_nth = steps[_i].nth;
	k.fail_errno = ENOTTY;
	ck_assert_int_eq(vfio_open(root, &kernel, HBA, &dev, &e), -ENOTTY);
	ck_assert_msg(strlen(e.text) > 20, "%s", e.text);
	ck_assert_ptr_null(dev);
	all_closed();
}
END_TEST

START_TEST(missing_eventfd_closes_what_was_open)
{
	struct pci_dev *dev = NULL;

	k.fail_eventfd = EMFILE;
	ck_assert_int_eq(vfio_open(root, &kernel, HBA, &dev, &e), -EMFILE);
	all_closed();
}
END_TEST

/* --- registers --- */

START_TEST(hole_in_a_bar_goes_through_the_descriptor)
{
	struct pci_dev *dev;

	/* only whole pages can be mapped */
	k.sparse = 0x2800;
	dev = opened();
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_uint_eq(k.mapped, 0x2000);
	ck_assert_uint_eq(dev->bar[1].map_len, 0x2000);
	pci_write32(dev, 1, 0x2000, 0x01020304);
	ck_assert_uint_eq(k.bar1[0x2000], 4);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x2000), 0x01020304);
	k.bar1[0x3ffc] = 9;
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3ffc), 9);
	/* 8 and 16 bits: mapped, and not */
	for (unsigned off = 0x100; off <= 0x2100; off += 0x2000) {
		pci_write32(dev, 1, off, 0x01020304);
		pci_write8(dev, 1, off + 1, 0xaa);
		pci_write16(dev, 1, off + 2, 0xbbcc);
		ck_assert_uint_eq(pci_read32(dev, 1, off), 0xbbccaa04);
		ck_assert_uint_eq(pci_read8(dev, 1, off), 0x04);
		ck_assert_uint_eq(pci_read8(dev, 1, off + 1), 0xaa);
		ck_assert_uint_eq(pci_read16(dev, 1, off + 2), 0xbbcc);
	}
	/* 64 bits: in one store, and as the kernel likes */
	for (unsigned off = 0x108; off <= 0x2108; off += 0x2000) {
		pci_write64(dev, 1, off, UINT64_C(0x1122334455667788));
		ck_assert_uint_eq(pci_read32(dev, 1, off), 0x55667788);
		ck_assert_uint_eq(pci_read32(dev, 1, off + 4), 0x11223344);
		ck_assert_int_eq(pci_can_write64(dev, 1, off), off < 0x2000);
	}
	ck_assert(pci_can_write64(dev, 1, 0x1ff8));
	ck_assert(!pci_can_write64(dev, 1, 0x1ffc)); /* not its own multiple */
	k.bar1[0x3fff] = 7;
	ck_assert_uint_eq(pci_read8(dev, 1, 0x3fff), 7);
	ck_assert_uint_eq(pci_read8(dev, 1, 0x4000), UINT8_MAX);
	ck_assert_uint_eq(pci_read16(dev, 1, 0x3fff), UINT16_MAX);
	pci_write8(dev, 1, 0x4000, 1);
	pci_write16(dev, 1, 0x3fff, 1);
	pci_write64(dev, 1, 0x4000, 1);
	ck_assert_uint_eq(k.bar1[0x3fff], 7);
	k.bar1[0x3fff] = 0;
	/* outside: all ones, nothing written */
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3ffd), UINT32_MAX);
	ck_assert_uint_eq(pci_read32(dev, 1, UINT64_MAX - 1), UINT32_MAX);
	pci_write32(dev, 1, 0x4000, 1);
	pci_close(dev);
	all_closed();
}
END_TEST

START_TEST(refused_mapping_falls_back_to_reads_and_writes)
{
	struct pci_dev *dev = opened();

	k.fail_mmap = EINVAL;
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_ptr_null((void *)(uintptr_t)dev->bar[1].map);
	k.bar1[0xb0] = 0x5a;
	ck_assert_uint_eq(pci_read32(dev, 1, 0xb0), 0x5a);
	/* I/O space is never mapped */
	ck_assert_int_eq(pci_map_bar(dev, 0, &e), 0);
	ck_assert_uint_eq(dev->bar[0].map_len, 0);
	k.fail_mmap = EBUSY;
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, "/proc/iomem"), "%s", e.text);
	pci_close(dev);
}
END_TEST

START_TEST(configuration_space_is_accessed_aligned_and_inside)
{
	struct pci_dev *dev = opened();
	uint32_t v;

	ck_assert_int_eq(dev->ops->cfg_read(dev, 252, &v, 4), 0);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 256, &v, 1), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 254, &v, 4), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 0, &v, 3), -EINVAL);
	ck_assert_int_eq(dev->ops->cfg_write(dev, 1, &v, 2), -EINVAL);
	k.fail_pread_cfg = EIO;
	ck_assert_int_eq(dev->ops->cfg_read(dev, 0, &v, 4), -ENODEV);
	ck_assert(pci_is_gone(dev));
	k.fail_pread_cfg = 0;
	ck_assert(!pci_is_gone(dev));
	memset(k.cfg + 4, 0xff, sizeof(k.cfg) - 4);
	ck_assert(pci_is_gone(dev));
	pci_close(dev);
}
END_TEST

/* --- interrupts --- */

START_TEST(interrupts_are_replaced_not_stacked)
{
	struct pci_dev *dev = opened();
	int fd[15] = {0};

	k.log[0] = '\0';
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_INTX, fd, 1, &e), 0);
	dev->ops->intx_unmask(dev);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 15, &e), 0);
	dev->ops->intx_unmask(dev);
	pci_irq_disable(dev);
	pci_irq_disable(dev);
	ck_assert_str_eq(k.log, "irq0:24+1 irq0:11+1 irq0:21+0 irq2:24+15 irq2:21+0");
	pci_close(dev);
}
END_TEST

START_TEST(too_few_vectors_in_the_machine_are_an_error)
{
	struct pci_dev *dev = opened();
	int fd[15] = {0};

	k.positive_irqs = 4;
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 15, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, "only 4 MSI-X vectors"), "%s", e.text);
	k.positive_irqs = 0;
	ioctl_fails(VFIO_DEVICE_SET_IRQS, EINVAL);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSI, fd, 1, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "cannot enable 1 MSI vectors"), "%s", e.text);
	k.log[0] = '\0';
	pci_irq_disable(dev);
	ck_assert_str_eq(k.log, "");
	pci_close(dev);
}
END_TEST

/* --- DMA and reset --- */

static const struct {
	int err, code;
	const char *says[2];
} map_errors[] = {
	{ENOMEM, -ENOMEM, {"memlock limit is 64 KiB", "LimitMEMLOCK=infinity"}},
	{ENOSPC, -ENOSPC, {"dma_entry_limit", "500"}},
	{EEXIST, -EEXIST, {"0x100000 is mapped already"}},
	{EINVAL, -EINVAL, {"cannot map 64 KiB at device address 0x100000"}},
	{EFAULT, -EFAULT, {"Bad address", "0x100000"}},
};

START_TEST(refused_mapping_is_explained)
{
	struct pci_dev *dev = opened();

	memlock_limit(65536);
	ioctl_fails(VFIO_IOMMU_MAP_DMA, map_errors[_i].err);
	ck_assert_int_eq(dev->ops->dma_map(dev, k.bar1, 65536, 0x100000, -1, 0, &e), map_errors[_i].code);
	for (unsigned i = 0; i < 2 && map_errors[_i].says[i]; i++)
		ck_assert_msg(strstr(e.text, map_errors[_i].says[i]) != NULL, "\"%s\"", e.text);
	pci_close(dev);
}
END_TEST

START_TEST(unmapping_less_than_was_mapped_is_noticed)
{
	struct pci_dev *dev = opened();

	ck_assert_int_eq(dev->ops->dma_map(dev, k.bar1, 8192, 0x100000, -1, 0, &e), 0);
	k.unmap_size = 4096;
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x100000, 8192), -EINVAL);
	k.unmap_size = 0;
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x100000, 8192), 0);
	ioctl_fails(VFIO_IOMMU_UNMAP_DMA, EIO);
	ck_assert_int_eq(dev->ops->dma_unmap(dev, 0x100000, 8192), -EIO);
	pci_close(dev);
}
END_TEST

START_TEST(reset_needs_a_function_that_can)
{
	struct pci_dev *dev = opened();

	ck_assert_int_eq(pci_reset(dev, &e), 0);
	ck_assert_msg(strstr(k.log, "reset") != NULL, "%s", k.log);
	ioctl_fails(VFIO_DEVICE_RESET, EIO);
	ck_assert_int_eq(pci_reset(dev, &e), -EIO);
	pci_close(dev);
	k.no_reset = true;
	dev = opened();
	ck_assert_int_eq(pci_reset(dev, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, "no FLR"), "%s", e.text);
	pci_close(dev);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio");
	TCase *tc = tcase_create("vfio");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, root_remove);
	tcase_add_test(tc, open_device_is_described);
	tcase_add_test(tc, closing_quiets_the_device_before_it_lets_go);
	tcase_add_test(tc, old_kernels_do_without_v2_notifier_and_unmap_all);
	tcase_add_test(tc, version_2_is_preferred);
	tcase_add_loop_test(tc, trouble_is_named_with_its_cure, 0, ARRAY_SIZE(troubles));
	tcase_add_loop_test(tc, failing_step_closes_what_was_open, 0, ARRAY_SIZE(steps));
	tcase_add_test(tc, missing_eventfd_closes_what_was_open);
	tcase_add_test(tc, hole_in_a_bar_goes_through_the_descriptor);
	tcase_add_test(tc, refused_mapping_falls_back_to_reads_and_writes);
	tcase_add_test(tc, configuration_space_is_accessed_aligned_and_inside);
	tcase_add_test(tc, interrupts_are_replaced_not_stacked);
	tcase_add_test(tc, too_few_vectors_in_the_machine_are_an_error);
	tcase_add_loop_test(tc, refused_mapping_is_explained, 0, ARRAY_SIZE(map_errors));
	tcase_add_test(tc, unmapping_less_than_was_mapped_is_noticed);
	tcase_add_test(tc, reset_needs_a_function_that_can);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}

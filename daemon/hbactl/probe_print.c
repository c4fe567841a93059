/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: for people, and as JSON. */
#include <inttypes.h>

#include "json.h"
#include "probe.h"
#include "table.h"

static uint32_t bar_bits(const struct probe *p, unsigned n)
{
	return probe_cfg32(p, 0x10 + 4 * n);
}

static const char *bar_kind(const struct probe *p, unsigned n)
{
	if (p->dev->bar[n].is_io)
		return "ports";
	return (bar_bits(p, n) & 6) == 4 ? "memory, 64-bit" : "memory, 32-bit";
}

/* --- text --- */

static void print_identity(const struct probe *p, FILE *out)
{
	const struct pci_id *id = &p->dev->id;

	fprintf(out, "%s\n", p->target);
	fprintf(out, "  PCI id:      %04x:%04x, subsystem %04x:%04x, class %06x, revision %02x\n", id->vendor,
		id->device, id->subvendor, id->subdevice, id->class_code, id->revision);
	fprintf(out, "  Command:     %04x, status %04x\n", probe_cfg16(p, 0x04), probe_cfg16(p, 0x06));
	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		if (p->dev->bar[i].size) {
			g_autofree char *size = table_size(p->dev->bar[i].size);

			fprintf(out, "  BAR%u:        %s, %s\n", i, size, bar_kind(p, i));
		}
	fprintf(out, "  Interrupts:  %u INTx, %u MSI, %u MSI-X\n", p->dev->n_vectors[PCI_IRQ_INTX],
		p->dev->n_vectors[PCI_IRQ_MSI], p->dev->n_vectors[PCI_IRQ_MSIX]);
	for (unsigned i = 0; i < p->n_caps; i++)
		fprintf(out, "  At 0x%03x:    %s\n", p->cap[i].at, p->cap[i].text);
	fprintf(out, "  Driver:      %s\n", p->verdict);
}

static void print_registers(const struct probe *p, FILE *out)
{
	static const char *const headings[] = {"REGISTER", "BAR", ">OFFSET", ">VALUE", NULL};
	g_autoptr(table_t) t = table_new(headings);

	for (unsigned i = 0; i < p->family->n_regs; i++) {
		const struct probe_reg *r = &p->family->regs[i];

		table_cell(t, r->name);
		table_cellf(t, "%u", p->place[r->area].bar);
		table_cellf(t, "0x%x", p->place[r->area].off + r->off);
		table_cellf(t, "%0*" PRIx32, 2 * r->width, p->value[i]);
	}
	fputc('\n', out);
	table_print(t, "  ", out);
}

void probe_print(const struct probe *p, FILE *out)
{
	print_identity(p, out);
	if (!p->family) {
		fputs("\nNo registers were read. --as says whose they are, see hbad-bringup(7).\n", out);
		return;
	}
	fprintf(out, "\nRead as %s: %s\n", p->family->name, p->family->about);
	for (unsigned i = 0; i < p->n_facts; i++)
		fprintf(out, "  %-28s %s\n", p->fact[i].name, p->fact[i].text);
	if (p->has_values)
		print_registers(p, out);
}

/* --- JSON --- */

static void put_hex(JsonBuilder *b, const char *member, unsigned digits, uint32_t v)
{
	g_autofree char *hex = g_strdup_printf("%0*" PRIx32, (int)digits, v);

	json_put_str(b, member, hex);
}

static void put_bars(JsonBuilder *b, const struct probe *p)
{
	json_builder_set_member_name(b, "bars");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
		if (!p->dev->bar[i].size)
			continue;
		json_builder_begin_object(b);
		json_put_int(b, "bar", i);
		json_put_int(b, "bytes", (int64_t)p->dev->bar[i].size);
		json_put_str(b, "kind", bar_kind(p, i));
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
}

static void put_capabilities(JsonBuilder *b, const struct probe *p)
{
	json_builder_set_member_name(b, "capabilities");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < p->n_caps; i++) {
		json_builder_begin_object(b);
		put_hex(b, "offset", 3, p->cap[i].at);
		put_hex(b, "id", p->cap[i].extended ? 4 : 2, p->cap[i].id);
		json_put_bool(b, "extended", p->cap[i].extended);
		json_put_str(b, "meaning", p->cap[i].text);
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
}

static void put_registers(JsonBuilder *b, const struct probe *p)
{
	json_builder_set_member_name(b, "registers");
	json_builder_begin_array(b);
	for (unsigned i = 0; p->has_values && i < p->family->n_regs; i++) {
		const struct probe_reg *r = &p->family->regs[i];

		json_builder_begin_object(b);
		json_put_str(b, "name", r->name);
		json_put_int(b, "bar", p->place[r->area].bar);
		put_hex(b, "offset", 1, p->place[r->area].off + r->off);
		put_hex(b, "value", 2u * r->width, p->value[i]);
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
}

static void put_facts(JsonBuilder *b, const struct probe *p)
{
	json_builder_set_member_name(b, "facts");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < p->n_facts; i++) {
		json_builder_begin_object(b);
		json_put_str(b, "name", p->fact[i].name);
		json_put_str(b, "meaning", p->fact[i].text);
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
}

static void put_interrupts(JsonBuilder *b, const struct probe *p)
{
	json_builder_set_member_name(b, "interrupts");
	json_builder_begin_object(b);
	json_put_int(b, "intx", p->dev->n_vectors[PCI_IRQ_INTX]);
	json_put_int(b, "msi", p->dev->n_vectors[PCI_IRQ_MSI]);
	json_put_int(b, "msix", p->dev->n_vectors[PCI_IRQ_MSIX]);
	json_builder_end_object(b);
}

void probe_print_json(const struct probe *p, FILE *out)
{
	const struct pci_id *id = &p->dev->id;
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "device", p->target);
	json_put_str(b, "version", HBAD_VERSION);
	put_hex(b, "vendor", 4, id->vendor);
	put_hex(b, "device_id", 4, id->device);
	put_hex(b, "subvendor", 4, id->subvendor);
	put_hex(b, "subdevice", 4, id->subdevice);
	put_hex(b, "class", 6, id->class_code);
	put_hex(b, "revision", 2, id->revision);
	put_hex(b, "command", 4, probe_cfg16(p, 0x04));
	put_hex(b, "status", 4, probe_cfg16(p, 0x06));
	put_bars(b, p);
	put_interrupts(b, p);
	put_capabilities(b, p);
	json_put_bool(b, "supported", p->driver != NULL);
	json_put_str(b, "supported_as", p->driver ? p->driver : "");
	json_put_str(b, "verdict", p->verdict);
	json_put_str(b, "family", p->family ? p->family->name : "");
	put_facts(b, p);
	put_registers(b, p);
	json_put_str(b, "problem", p->problem);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, out);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Byte order: typed little-endian fields (checked by sparse) and unaligned accessors for SCSI's big-endian
 * ones. */
#ifndef HBAD_BASE_ENDIAN_H
#define HBAD_BASE_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#ifdef __CHECKER__
#define hb_bitwise __attribute__((bitwise))
#define hb_force   __attribute__((force))
#else
#define hb_bitwise
#define hb_force
#endif

/* Fields of firmware structures. Only the conversions below may touch them. */
typedef uint16_t hb_bitwise le16_t;
typedef uint32_t hb_bitwise le32_t;
typedef uint64_t hb_bitwise le64_t;

static inline le16_t cpu_to_le16(uint16_t v)
{
	return (hb_force le16_t)htole16(v);
}
static inline le32_t cpu_to_le32(uint32_t v)
{
	return (hb_force le32_t)htole32(v);
}
static inline le64_t cpu_to_le64(uint64_t v)
{
	return (hb_force le64_t)htole64(v);
}
static inline uint16_t le16_to_cpu(le16_t v)
{
	return le16toh((hb_force uint16_t)v);
}
static inline uint32_t le32_to_cpu(le32_t v)
{
	return le32toh((hb_force uint32_t)v);
}
static inline uint64_t le64_to_cpu(le64_t v)
{
	return le64toh((hb_force uint64_t)v);
}

/* SCSI fields: big-endian at any alignment. */
static inline uint16_t get_be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t get_be24(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}
static inline uint32_t get_be32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline uint64_t get_be64(const void *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32((const uint8_t *)p + 4);
}
static inline void put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static inline void put_be24(void *p, uint32_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 16);
	b[1] = (uint8_t)(v >> 8);
	b[2] = (uint8_t)v;
}
static inline void put_be32(void *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16((uint8_t *)p + 2, (uint16_t)v);
}
static inline void put_be64(void *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32((uint8_t *)p + 4, (uint32_t)v);
}

#endif

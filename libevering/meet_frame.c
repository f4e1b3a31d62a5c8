/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet_frame.c - the frames of the handshake, to bytes and back. See meet_internal.h. */

#include <endian.h>
#include <string.h>

#include "meet_internal.h"

#define MAGIC UINT64_C(0x317465654d727645) /* "EvrMeet1" as bytes */

/* Where what is, in every frame. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8, /* in every version of the frame, as is the magic */
	AT_KIND = 12,
	AT_STATUS = 16,
	AT_FLAGS = 20,
	AT_LAYOUT = 24,
	AT_API = 28,
	AT_ABI = 32,
	AT_NUMBER = 36,
	AT_COMPAT = 40,
	AT_RO_COMPAT = 48,
	AT_INCOMPAT = 56,
	AT_ID = 64,
	AT_NAME = 80,
	AT_REASON = AT_NAME + EVR_NAME_BYTES,
	AT_RESERVED = AT_REASON + EVRI_MEET_REASON_BYTES,
};

_Static_assert(AT_RESERVED + 8 == EVRI_MEET_FRAME_BYTES,
	       "the frame is as long as it says");
_Static_assert(EVRI_MEET_FRAME_BYTES <= EVRI_OS_MESSAGE_BYTES_MAX,
	       "it fits in a message");

struct evri_meet_frame evri_meet_frame(uint32_t kind)
{
	return (struct evri_meet_frame){
		.kind = kind,
		.layout_version = EVR_LAYOUT_VERSION,
		.api_version = EVR_API_VERSION,
		.abi_version = EVR_ABI_VERSION,
		.features_compat = EVR_FEATURES_COMPAT,
		.features_ro_compat = EVR_FEATURES_RO_COMPAT,
		.features_incompat = EVR_FEATURES_INCOMPAT,
	};
}

static void put32(struct evri_os_message *message, size_t at, uint32_t value)
{
	value = htole32(value);
	memcpy(message->data + at, &value, sizeof(value));
}

static void put64(struct evri_os_message *message, size_t at, uint64_t value)
{
	value = htole64(value);
	memcpy(message->data + at, &value, sizeof(value));
}

static uint32_t get32(const struct evri_os_message *message, size_t at)
{
	uint32_t value;

	memcpy(&value, message->data + at, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const struct evri_os_message *message, size_t at)
{
	uint64_t value;

	memcpy(&value, message->data + at, sizeof(value));
	return le64toh(value);
}

void evri_meet_encode(const struct evri_meet_frame *frame, struct evri_os_message *ret)
{
	memset(ret->data, 0, EVRI_MEET_FRAME_BYTES);
	ret->bytes = EVRI_MEET_FRAME_BYTES;
	put64(ret, AT_MAGIC, MAGIC);
	put32(ret, AT_VERSION, EVRI_MEET_FRAME_VERSION);
	put32(ret, AT_KIND, frame->kind);
	put32(ret, AT_STATUS, (uint32_t)frame->status);
	put32(ret, AT_FLAGS, frame->flags);
	put32(ret, AT_LAYOUT, frame->layout_version);
	put32(ret, AT_API, frame->api_version);
	put32(ret, AT_ABI, frame->abi_version);
	put32(ret, AT_NUMBER, frame->number);
	put64(ret, AT_COMPAT, frame->features_compat);
	put64(ret, AT_RO_COMPAT, frame->features_ro_compat);
	put64(ret, AT_INCOMPAT, frame->features_incompat);
	memcpy(ret->data + AT_ID, frame->id, sizeof(frame->id));
	memcpy(ret->data + AT_NAME, frame->name, sizeof(frame->name));
	memcpy(ret->data + AT_REASON, frame->reason, sizeof(frame->reason));
}

/* A text of the other side: cut to its place, and such that a terminal does not obey. */
static void get_text(const struct evri_os_message *message, size_t at, char *ret,
		     size_t bytes)
{
	memcpy(ret, message->data + at, bytes);
	ret[bytes - 1] = '\0';
	for (size_t i = 0; i < bytes && ret[i] != '\0'; i++)
		if (ret[i] < ' ' || ret[i] > '~')
			ret[i] = '?';
}

int evri_meet_decode(const struct evri_os_message *message, uint32_t kind,
		     struct evri_meet_frame *ret)
{
	struct evri_meet_frame frame;
	uint32_t version;

	if (message->bytes < AT_KIND || get64(message, AT_MAGIC) != MAGIC)
		return evri_fail(-EPROTO,
				 "what came, %zu bytes, is no frame of Evering's",
				 message->bytes);
	version = get32(message, AT_VERSION);
	if (version != EVRI_MEET_FRAME_VERSION)
		return evri_fail(-EPROTO,
				 "frame version %d here (library %s), %u on the other "
				 "side",
				 EVRI_MEET_FRAME_VERSION, EVR_VERSION_STRING, version);
	if (message->bytes < EVRI_MEET_FRAME_BYTES)
		return evri_fail(-EPROTO, "a frame of %zu bytes, %d at least wanted",
				 message->bytes, EVRI_MEET_FRAME_BYTES);

	frame.kind = get32(message, AT_KIND);
	frame.status = (int32_t)get32(message, AT_STATUS);
	frame.flags = get32(message, AT_FLAGS);
	frame.layout_version = get32(message, AT_LAYOUT);
	frame.api_version = get32(message, AT_API);
	frame.abi_version = get32(message, AT_ABI);
	frame.number = get32(message, AT_NUMBER);
	frame.features_compat = get64(message, AT_COMPAT);
	frame.features_ro_compat = get64(message, AT_RO_COMPAT);
	frame.features_incompat = get64(message, AT_INCOMPAT);
	memcpy(frame.id, message->data + AT_ID, sizeof(frame.id));
	get_text(message, AT_NAME, frame.name, sizeof(frame.name));
	get_text(message, AT_REASON, frame.reason, sizeof(frame.reason));
	if (frame.kind != kind || frame.status > 0 || frame.status < -4095)
		return evri_fail(-EPROTO,
				 "a frame of kind %u and status %d, kind %u wanted",
				 frame.kind, frame.status, kind);
	*ret = frame;
	return 0;
}

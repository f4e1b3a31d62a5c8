/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* region.c - see <evering/region.h>. */

#include <evering/region.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "region_internal.h"

#define PARTICIPANTS_DEFAULT 64
#define TABLE_ENTRIES_MAX 65535
#define AGENTS_PER_PARTICIPANT 4

/* What evr_region_send() sends beside the descriptor. */
static const char hello[8] = "evering1";

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Where everything lies follows from four numbers, for the creator and for the check. */
struct geometry {
	uint64_t participants_offset;
	uint64_t agents_offset;
	uint64_t directory_offset;
	uint64_t objects_offset;
};

static struct geometry geometry_of(uint32_t participants, uint32_t agents,
				   uint32_t directory)
{
	struct geometry geometry;

	geometry.participants_offset = sizeof(struct evr_region_shared);
	geometry.agents_offset = geometry.participants_offset +
				 participants * sizeof(struct evr_participant_shared);
	geometry.directory_offset =
		geometry.agents_offset + agents * sizeof(struct evr_agent_shared);
	geometry.objects_offset =
		round_up(geometry.directory_offset +
				 directory * sizeof(struct evri_directory_entry),
			 EVRI_OBJECT_UNIT_BYTES);
	return geometry;
}

static void point_at_tables(struct evr_region *region, const struct geometry *geometry)
{
	region->shared = (struct evr_region_shared *)region->base;
	region->participants =
		(struct evr_participant_shared *)(region->base +
						  geometry->participants_offset);
	region->agents =
		(struct evr_agent_shared *)(region->base + geometry->agents_offset);
	region->directory = (struct evri_directory_entry *)(region->base +
							    geometry->directory_offset);
	region->objects_offset = geometry->objects_offset;
}

static uint16_t tag_of(const uint8_t id[16])
{
	return (uint16_t)(id[0] | id[1] << 8);
}

static int check_options(const struct evr_region_options *options,
			 struct evr_region_options *ret)
{
	struct evr_region_options known = { 0 };

	int error = evri_options_take(options,
				      offsetof(struct evr_region_options, page_bytes),
				      &known, sizeof(known), "region");

	if (error < 0)
		return error;
	if (known.page_bytes == 0)
		known.page_bytes = EVR_PAGE_4K;
	if (known.page_bytes != EVR_PAGE_4K && known.page_bytes != EVR_PAGE_2M)
		return evri_fail(-EINVAL,
				 "page_bytes %" PRIu64 ": 4096 or 2097152 possible",
				 known.page_bytes);
	if (known.participants == 0)
		known.participants = PARTICIPANTS_DEFAULT;
	if (known.participants > TABLE_ENTRIES_MAX)
		return evri_fail(-EINVAL, "participants %u: at most %u",
				 known.participants, TABLE_ENTRIES_MAX);
	if (known.agents == 0) {
		known.agents = AGENTS_PER_PARTICIPANT * known.participants;
		if (known.agents > TABLE_ENTRIES_MAX)
			known.agents = TABLE_ENTRIES_MAX;
	}
	if (known.agents > TABLE_ENTRIES_MAX)
		return evri_fail(-EINVAL, "agents %u: at most %u", known.agents,
				 TABLE_ENTRIES_MAX);
	if (!known.name)
		known.name = "evering";
	if (known.bytes == 0 || known.bytes > UINT64_C(1) << 40)
		return evri_fail(-EINVAL, "bytes %" PRIu64 ": 1 to 2^40 possible",
				 known.bytes);
	known.bytes = round_up(known.bytes, known.page_bytes);
	*ret = known;
	return 0;
}

/* What joining needs. The creator joins before the header says what this is, so that
 * whoever finds a header that is not finished can tell whether its writer lives. */
static void write_tables(struct evr_region *region)
{
	for (uint32_t i = 0; i < region->participants_count; i++)
		evr_store_relaxed_u64(&region->participants[i].word,
				      evr_participant_word(EVR_PARTICIPANT_FREE, 0));
	for (uint32_t i = 0; i < region->agents_count; i++)
		evr_store_relaxed_u64(&region->agents[i].word,
				      evr_agent_word(EVR_AGENT_FREE, 0, 0));
	for (uint32_t i = 0; i < region->directory_count; i++)
		evr_store_relaxed_u64(&region->directory[i].word,
				      (uint64_t)EVRI_ENTRY_EMPTY << 60);
	evr_store_relaxed_u64(&region->shared->next_number, 1);
}

static int write_header(struct evr_region *region,
			const struct evr_region_options *options,
			const struct geometry *geometry)
{
	struct evr_region_shared *shared = region->shared;
	uint8_t id[16];
	int error = evri_os_random(id, sizeof(id));

	if (error < 0)
		return error;
	if (tag_of(id) == 0)
		id[0] = 1;
	region->tag = tag_of(id);

	evr_store_relaxed_u32(&shared->status, EVR_REGION_INITIALIZING);
	shared->layout_version = EVR_LAYOUT_VERSION;
	shared->api_version = EVR_API_VERSION;
	shared->abi_version = EVR_ABI_VERSION;
	shared->features_compat = EVR_FEATURES_COMPAT;
	shared->features_ro_compat = EVR_FEATURES_RO_COMPAT;
	shared->features_incompat = EVR_FEATURES_INCOMPAT;
	memcpy(shared->id, id, sizeof(id));
	shared->bytes = options->bytes;
	shared->page_bytes = options->page_bytes;
	shared->participants_offset = geometry->participants_offset;
	shared->agents_offset = geometry->agents_offset;
	shared->directory_offset = geometry->directory_offset;
	shared->objects_offset = geometry->objects_offset;
	shared->participants_count = options->participants;
	shared->agents_count = options->agents;
	shared->directory_count = EVRI_DIRECTORY_ENTRIES;
	evr_plain_store_u64(&shared->magic, EVR_REGION_MAGIC);

	/* SYNC region/status (release), pairs with check_header(). Weaker: an attacher
	 * could read tables that are not there yet. */
	evr_store_release_u32(&shared->status, EVR_REGION_INITIALIZED);
	return 0;
}

static struct evr_region *free_view(struct evr_region *region)
{
	if (region->base)
		evri_os_memory_unmap(region->base, region->bytes);
	if (region->fd >= 0)
		evri_os_fd_close(region->fd);
	free(region);
	return NULL;
}

static int map_new(struct evr_region *region, const struct evr_region_options *options)
{
	void *base;
	int error = evri_os_memory_create(options->name, region->bytes,
					  region->page_bytes, &region->fd);

	if (error < 0)
		return evri_fail(error,
				 "no memory file of %" PRIu64
				 " bytes in pages of %" PRIu64 ": %s",
				 region->bytes, region->page_bytes, strerror(-error));
	error = evri_os_memory_map(region->fd, region->bytes, region->page_bytes, &base);
	if (error == 0) {
		region->base = base;
		error = evri_os_memory_populate(base, region->bytes);
	}
	if (error < 0 && region->page_bytes != EVR_PAGE_4K)
		return evri_fail(
			error,
			"%" PRIu64 " huge pages of %" PRIu64 " KiB wanted, %" PRIu64
			" free; raise /proc/sys/vm/nr_hugepages or use 4 KiB pages",
			region->bytes / region->page_bytes, region->page_bytes >> 10,
			evri_os_huge_pages_free(region->page_bytes));
	if (error < 0)
		return evri_fail(error, "%" PRIu64 " bytes of shared memory: %s",
				 region->bytes, strerror(-error));
	return 0;
}

int evr_region_create(const struct evr_region_options *user_options,
		      struct evr_region **ret_region)
{
	struct evr_region_options options;
	int error = check_options(user_options, &options);

	if (error < 0)
		return error;

	struct geometry geometry = geometry_of(options.participants, options.agents,
					       EVRI_DIRECTORY_ENTRIES);
	if (geometry.objects_offset > options.bytes)
		return evri_fail(-ENOSPC,
				 "bytes %" PRIu64
				 ": the tables of %u participants and %u agents "
				 "alone take %" PRIu64,
				 options.bytes, options.participants, options.agents,
				 geometry.objects_offset);

	struct evr_region *region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->fd = -1;
	region->bytes = options.bytes;
	region->page_bytes = options.page_bytes;
	region->pid = evri_os_pid();

	error = map_new(region, &options);
	if (error < 0)
		goto fail;

	region->participants_count = options.participants;
	region->agents_count = options.agents;
	region->directory_count = EVRI_DIRECTORY_ENTRIES;
	point_at_tables(region, &geometry);
	write_tables(region);
	error = evri_participant_join(region);
	if (error == 0)
		error = write_header(region, &options, &geometry);
	if (error < 0)
		goto fail;
	*ret_region = region;
	return 0;
fail:
	free_view(region);
	return error;
}

/* Is the region behind this header one that this library can use? Reads each field once
 * into @copy and judges that. */
static int check_header(struct evr_region *region, uint64_t file_bytes,
			struct evr_region_shared *copy)
{
	const struct evr_region_shared *shared = region->shared;

	if (shared->magic != EVR_REGION_MAGIC)
		return evri_fail(-EMEDIUMTYPE,
				 "the memory file does not begin as a region");

	/* SYNC region/status (acquire), pairs with write_header(). */
	uint32_t status = evr_load_acquire_u32(&shared->status);
	if (status == EVR_REGION_INITIALIZING) {
		/* The creator is the first to join, in record 0. */
		int held = evri_os_liveness_test(region->fd, EVRI_LIVENESS_BYTE(0));
		if (held < 0)
			return held;
		if (held)
			return evri_fail(-EAGAIN,
					 "the creator has not finished the region yet");
		return evri_fail(-ENOTRECOVERABLE,
				 "the creator died before it finished the region");
	}
	if (status != EVR_REGION_INITIALIZED)
		return evri_fail(
			-ENOTRECOVERABLE, "the region's status is %u (%s)", status,
			status == EVR_REGION_CORRUPTED ? "corrupted" : "unknown");

	memcpy(copy, shared, sizeof(*copy));
	if (copy->layout_version != EVR_LAYOUT_VERSION)
		return evri_fail(-EPROTO, "layout version %u here, %u in the region",
				 EVR_LAYOUT_VERSION, copy->layout_version);
	if (copy->features_incompat & ~EVR_FEATURES_INCOMPAT ||
	    copy->features_ro_compat & ~EVR_FEATURES_RO_COMPAT)
		return evri_fail(-EPROTO,
				 "features incompat %#" PRIx64 " ro-compat %#" PRIx64
				 " known here, %#" PRIx64 " and %#" PRIx64
				 " in the region",
				 EVR_FEATURES_INCOMPAT, EVR_FEATURES_RO_COMPAT,
				 copy->features_incompat, copy->features_ro_compat);
	if (copy->bytes > file_bytes)
		return evri_fail(-ENODATA,
				 "the region has %" PRIu64 " bytes, its file %" PRIu64,
				 copy->bytes, file_bytes);

	struct geometry geometry = geometry_of(copy->participants_count,
					       copy->agents_count, copy->directory_count);
	if (copy->bytes != file_bytes || copy->page_bytes != region->page_bytes ||
	    copy->participants_count == 0 ||
	    copy->participants_count > TABLE_ENTRIES_MAX || copy->agents_count == 0 ||
	    copy->agents_count > TABLE_ENTRIES_MAX || copy->directory_count == 0 ||
	    copy->directory_count > TABLE_ENTRIES_MAX ||
	    copy->participants_offset != geometry.participants_offset ||
	    copy->agents_offset != geometry.agents_offset ||
	    copy->directory_offset != geometry.directory_offset ||
	    copy->objects_offset != geometry.objects_offset ||
	    geometry.objects_offset > copy->bytes || tag_of(copy->id) == 0)
		return evri_fail(-EUCLEAN, "the region's header contradicts itself");

	region->participants_count = copy->participants_count;
	region->agents_count = copy->agents_count;
	region->directory_count = copy->directory_count;
	region->tag = tag_of(copy->id);
	point_at_tables(region, &geometry);
	return 0;
}

int evr_region_attach(int fd, struct evr_region **ret_region)
{
	struct evri_os_memory_info info;
	struct evr_region_shared copy;
	void *base;
	int error = evri_os_memory_inspect(fd, &info);

	if (error == 0 && !info.writable)
		error = -EBADF;
	if (error < 0)
		return evri_fail(error, "descriptor %d: %s", fd,
				 error == -EMEDIUMTYPE
					 ? "not a memory file"
					 : "not open for reading and writing");
	if (info.bytes < sizeof(struct evr_region_shared))
		return evri_fail(-EMEDIUMTYPE, "a file of %" PRIu64 " bytes is no region",
				 info.bytes);
	/* Whoever has the file could cut it short under us, which would be a SIGBUS. */
	if (info.may_shrink)
		return evri_fail(-EMEDIUMTYPE,
				 "the memory file is not sealed, so no region");

	struct evr_region *region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->bytes = info.bytes;
	region->page_bytes = info.page_bytes;
	region->pid = evri_os_pid();
	region->fd = -1;
	error = evri_os_fd_duplicate(fd, &region->fd);
	if (error == 0)
		error = evri_os_memory_map(region->fd, info.bytes, info.page_bytes,
					   &base);
	if (error < 0) {
		evri_fail_detail("cannot map %" PRIu64 " bytes: %s", info.bytes,
				 strerror(-error));
		goto fail;
	}
	region->base = base;
	region->shared = base;
	error = check_header(region, info.bytes, &copy);
	if (error == 0)
		error = evri_participant_join(region);
	if (error < 0)
		goto fail;
	*ret_region = region;
	return 0;
fail:
	free_view(region);
	return error;
}

struct evr_region *evr_region_detach(struct evr_region *region)
{
	if (!region)
		return NULL;
	if (!evri_region_is_here(region)) {
		region->base = NULL;
		return free_view(region);
	}
	evri_participant_leave(region);
	return free_view(region);
}

int evr_region_fd(const struct evr_region *region)
{
	return region->fd;
}

int evr_region_send(const struct evr_region *region, int socket_fd)
{
	return evri_os_send_fd(socket_fd, region->fd, hello, sizeof(hello));
}

int evr_region_receive(int socket_fd, struct evr_region **ret_region)
{
	char greeting[sizeof(hello)];
	int fd;
	int error = evri_os_receive_fd(socket_fd, greeting, sizeof(greeting), &fd);

	if (error < 0)
		return evri_fail(error, "no region came over descriptor %d: %s",
				 socket_fd, strerror(-error));
	if (memcmp(greeting, hello, sizeof(hello)) != 0)
		error = evri_fail(-EPROTO,
				  "what came over descriptor %d is not a region's "
				  "greeting",
				  socket_fd);
	else
		error = evr_region_attach(fd, ret_region);
	evri_os_fd_close(fd);
	return error;
}

uint32_t evr_region_number(const struct evr_region *region)
{
	return region->number;
}

uint64_t evr_region_bytes(const struct evr_region *region)
{
	return region->bytes;
}

uint64_t evr_region_page_bytes(const struct evr_region *region)
{
	return region->page_bytes;
}

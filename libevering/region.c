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

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Where everything lies follows from a few numbers, for the creator and for the check. */
struct geometry {
	uint64_t ranges_offset;
	uint64_t participants_offset;
	uint64_t agents_offset;
	uint64_t directory_offset;
	uint64_t objects_offset;
};

static struct geometry geometry_of(uint32_t participants, uint32_t agents,
				   uint32_t directory)
{
	struct geometry geometry;

	geometry.ranges_offset = sizeof(struct evr_region_shared);
	geometry.participants_offset =
		geometry.ranges_offset +
		EVR_RANGES_MAX * sizeof(struct evr_range_shared);
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
	region->ranges =
		(struct evr_range_shared *)(region->base + geometry->ranges_offset);
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

static bool is_page_size(uint64_t bytes)
{
	return bytes == EVR_PAGE_4K || bytes == EVR_PAGE_2M || bytes == EVR_PAGE_1G;
}

static int check_sizes(struct evr_region_options *options)
{
	if (options->page_bytes == 0)
		options->page_bytes = EVR_PAGE_4K;
	if (!is_page_size(options->page_bytes))
		return evri_fail(-EINVAL,
				 "page_bytes %" PRIu64
				 ": 4096, 2097152 or 1073741824 possible",
				 options->page_bytes);
	if (options->flags & EVR_REGION_TRANSPARENT && options->page_bytes != EVR_PAGE_4K)
		return evri_fail(-EINVAL,
				 "EVR_REGION_TRANSPARENT makes 4 KiB pages huge; "
				 "page_bytes is %" PRIu64,
				 options->page_bytes);
	if (options->bytes == 0 || options->bytes > UINT64_C(1) << 40)
		return evri_fail(-EINVAL, "bytes %" PRIu64 ": 1 to 2^40 possible",
				 options->bytes);
	if (options->bytes_max == 0)
		options->bytes_max = options->bytes;
	if (options->bytes_max > UINT64_C(1) << 40)
		return evri_fail(-EINVAL, "bytes_max %" PRIu64 ": at most 2^40",
				 options->bytes_max);
	if (options->bytes_max < options->bytes)
		return evri_fail(-EINVAL,
				 "bytes_max %" PRIu64 " is less than bytes %" PRIu64,
				 options->bytes_max, options->bytes);
	return 0;
}

static int check_options(const struct evr_region_options *options,
			 struct evr_region_options *ret)
{
	const uint32_t known_flags = EVR_REGION_PREFER_PAGES | EVR_REGION_TRANSPARENT |
				     EVR_REGION_LOCKED | EVR_REGION_DUMPED;
	struct evr_region_options known = { 0 };
	int error = evri_options_take(options,
				      offsetof(struct evr_region_options, page_bytes),
				      &known, sizeof(known), "region");

	if (error < 0)
		return error;
	if (known.flags & ~known_flags || known.reserved)
		return evri_fail(-E2BIG, "region flags %#x are not known here",
				 known.flags);
	error = check_sizes(&known);
	if (error < 0)
		return error;
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
	*ret = known;
	return 0;
}

/* What joining needs. The creator joins before the header says what this is, so that
 * whoever finds a header that is not finished can tell whether its writer lives. */
static void write_tables(struct evr_region *region, uint64_t bytes)
{
	evr_store_relaxed_u64(&region->ranges[0].word,
			      evri_range_word(EVR_RANGE_READY, bytes, 0));
	for (uint32_t i = 1; i < region->ranges_count; i++)
		evr_store_relaxed_u64(&region->ranges[i].word,
				      evri_range_word(EVR_RANGE_EMPTY, 0, 0));
	for (uint32_t i = 0; i < region->participants_count; i++)
		evr_store_relaxed_u64(&region->participants[i].word,
				      evr_participant_word(EVR_PARTICIPANT_FREE, 0));
	for (uint32_t i = 0; i < region->agents_count; i++)
		evr_store_relaxed_u64(&region->agents[i].word,
				      evr_agent_word(EVR_AGENT_FREE, 0, 0));
	for (uint32_t i = 0; i < region->directory_count; i++)
		evr_store_relaxed_u64(&region->directory[i].word,
				      evri_entry_word(EVRI_ENTRY_EMPTY, 0, 0, 0));
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
	shared->bytes = options->bytes_max;
	shared->page_bytes = options->page_bytes;
	shared->ranges_offset = geometry->ranges_offset;
	shared->ranges_count = EVR_RANGES_MAX;
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
	pthread_mutex_destroy(&region->map_lock);
	free(region);
	return NULL;
}

/* An empty view. */
static struct evr_region *new_view(uint64_t bytes, uint64_t page_bytes)
{
	struct evr_region *region = calloc(1, sizeof(*region));

	if (!region)
		return NULL;
	region->fd = -1;
	region->bytes = bytes;
	region->page_bytes = page_bytes;
	region->pid = evri_os_pid();
	pthread_mutex_init(&region->map_lock, NULL);
	return region;
}

/* As far as payloads of the pool may want it: EVR_POOL_PAYLOAD_MAX. */
#define MAPPING_ALIGNMENT_MAX (UINT64_C(64) << 20)

/* Addresses for the whole, aligned so that each page can be as large as it gets. */
static int reserve_addresses(struct evr_region *region)
{
	uint64_t alignment = region->page_bytes;
	void *base;
	int error;

	if (alignment < EVR_PAGE_2M && region->bytes >= EVR_PAGE_2M)
		alignment = EVR_PAGE_2M;
	/* A payload behind the header may be aligned to what fits in here twice. */
	while (alignment < MAPPING_ALIGNMENT_MAX && alignment <= region->bytes / 4)
		alignment *= 2;
	error = evri_os_memory_reserve(region->bytes, alignment, &base);
	if (error < 0)
		return evri_fail(error, "no addresses for %" PRIu64 " bytes: %s",
				 region->bytes, strerror(-error));
	region->base = base;
	return 0;
}

/* The file, and its first range, real. */
static int make_memory(struct evr_region *region,
		       const struct evr_region_options *options,
		       const struct evri_settling *how)
{
	unsigned flags = EVRI_OS_MAP_UNRESERVED |
			 (options->flags & EVR_REGION_DUMPED ? EVRI_OS_MAP_DUMP : 0);
	int error = evri_os_memory_create(options->name, region->bytes,
					  region->page_bytes, &region->fd);

	if (error < 0)
		return evri_fail(error,
				 "no memory file of %" PRIu64
				 " bytes in pages of %" PRIu64 ": %s",
				 region->bytes, region->page_bytes, strerror(-error));
	error = evri_settle_check(region, options->bytes, how);
	if (error == 0)
		error = reserve_addresses(region);
	if (error < 0)
		return error;
	error = evri_os_memory_map_at(region->fd, 0, options->bytes, flags, region->base);
	if (error < 0)
		return evri_fail(error, "cannot map %" PRIu64 " bytes: %s",
				 options->bytes, strerror(-error));
	region->mapped[0].bytes = options->bytes;
	return evri_settle(region, 0, options->bytes, how);
}

static int check_room_for_tables(const struct evr_region_options *options)
{
	uint64_t tables = geometry_of(options->participants, options->agents,
				      EVRI_DIRECTORY_ENTRIES)
				  .objects_offset;

	if (tables <= options->bytes)
		return 0;
	return evri_fail(-ENOSPC,
			 "bytes %" PRIu64 ": the tables of %u participants and %u agents "
			 "alone take %" PRIu64,
			 options->bytes, options->participants, options->agents, tables);
}

/* A region with the pages that @options name, and nothing less. */
static int create_with(const struct evr_region_options *options,
		       struct evr_region **ret_region)
{
	struct geometry geometry = geometry_of(options->participants, options->agents,
					       EVRI_DIRECTORY_ENTRIES);
	struct evri_settling how = {
		.flags = options->flags,
		.placement = options->placement,
		.progress = options->progress,
		.context = options->context,
	};
	uint64_t begun = evri_os_now_ns();
	struct evr_region *region;
	int error;

	error = check_room_for_tables(options);
	if (error < 0)
		return error;
	region = new_view(options->bytes_max, options->page_bytes);
	if (!region)
		return -ENOMEM;
	error = make_memory(region, options, &how);
	if (error < 0)
		goto fail;
	region->participants_count = options->participants;
	region->agents_count = options->agents;
	region->directory_count = EVRI_DIRECTORY_ENTRIES;
	region->ranges_count = EVR_RANGES_MAX;
	point_at_tables(region, &geometry);
	write_tables(region, options->bytes);
	evri_range_describe(region, 0, &how, evri_os_now_ns() - begun);
	error = evri_participant_join(region, -1);
	if (error == 0)
		error = write_header(region, options, &geometry);
	if (error < 0)
		goto fail;
	*ret_region = region;
	return 0;
fail:
	free_view(region);
	return error;
}

/* What the user asked for, in whole pages; instead of huge ones, in places for them. */
static void round_sizes(struct evr_region_options *options,
			const struct evr_region_options *asked)
{
	uint64_t unit = asked->page_bytes > EVR_PAGE_2M ? EVR_PAGE_2M :
							  asked->page_bytes;

	if (options->page_bytes > unit)
		unit = options->page_bytes;
	options->bytes = round_up(asked->bytes, unit);
	options->bytes_max = round_up(asked->bytes_max, unit);
}

/* The next smaller pages to wish for. False: these are the smallest. */
static bool wish_less(struct evr_region_options *options)
{
	if (options->page_bytes == EVR_PAGE_1G) {
		options->page_bytes = EVR_PAGE_2M;
	} else if (options->page_bytes == EVR_PAGE_2M) {
		options->page_bytes = EVR_PAGE_4K;
		options->flags |= EVR_REGION_TRANSPARENT;
	} else {
		return false;
	}
	return true;
}

int evr_region_create(const struct evr_region_options *user_options,
		      struct evr_region **ret_region)
{
	struct evr_region_options asked;
	struct evr_region_options options;
	int error = check_options(user_options, &asked);

	if (error < 0)
		return error;
	options = asked;
	do {
		round_sizes(&options, &asked);
		error = create_with(&options, ret_region);
	} while ((error == -ENOMEM || error == -ENOSPC || error == -ENODEV) &&
		 options.flags & EVR_REGION_PREFER_PAGES && wish_less(&options));
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
	    (copy->features_ro_compat & ~EVR_FEATURES_RO_COMPAT && !region->read_only))
		return evri_fail(-EPROTO,
				 "features incompat %#" PRIx64 " ro-compat %#" PRIx64
				 " known here, %#" PRIx64 " and %#" PRIx64
				 " in the region (unknown ro-compat ones allow reading)",
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
	    copy->ranges_count != EVR_RANGES_MAX ||
	    copy->ranges_offset != geometry.ranges_offset ||
	    copy->participants_offset != geometry.participants_offset ||
	    copy->agents_offset != geometry.agents_offset ||
	    copy->directory_offset != geometry.directory_offset ||
	    copy->objects_offset != geometry.objects_offset ||
	    geometry.objects_offset > copy->bytes || tag_of(copy->id) == 0)
		return evri_fail(-EUCLEAN, "the region's header contradicts itself");

	region->participants_count = copy->participants_count;
	region->agents_count = copy->agents_count;
	region->directory_count = copy->directory_count;
	region->ranges_count = copy->ranges_count;
	region->tag = tag_of(copy->id);
	point_at_tables(region, &geometry);
	return 0;
}

/* Is the first range there, and large enough for the tables? */
static int check_first_range(struct evr_region *region)
{
	if (region->mapped[0].bytes < region->objects_offset)
		return evri_fail(-EUCLEAN, "the region's first range ends at %" PRIu64
					   ", before its tables do",
				 region->mapped[0].bytes);
	return 0;
}

/* The header, then what it says is there. */
static int map_existing(struct evr_region *region, uint64_t file_bytes)
{
	struct evr_region_shared copy;
	unsigned how = EVRI_OS_MAP_UNRESERVED |
		       (region->read_only ? EVRI_OS_MAP_READ_ONLY : 0);
	int error = evri_os_memory_read(region->fd, 0, &copy, sizeof(copy));

	if (error < 0)
		return evri_fail(error, "cannot read the memory file: %s",
				 strerror(-error));
	/* Where the creator has not been yet there may be no page, and touching one that
	 * cannot be had would be a SIGBUS. */
	if (copy.magic != EVR_REGION_MAGIC)
		return evri_fail(-EMEDIUMTYPE,
				 "the memory file does not begin as a region");
	error = reserve_addresses(region);
	if (error < 0)
		return error;
	/* A page that the creator has made real: this takes none. */
	error = evri_os_memory_map_at(region->fd, 0, region->page_bytes, how,
				      region->base);
	if (error < 0)
		return evri_fail(error, "cannot map %" PRIu64 " bytes: %s",
				 region->page_bytes, strerror(-error));
	region->shared = (struct evr_region_shared *)region->base;
	error = check_header(region, file_bytes, &copy);
	if (error == 0)
		error = evri_region_map_ranges(region);
	if (error == 0)
		error = check_first_range(region);
	return error;
}

/* @carrier_fd: as for evri_region_attach_with(); of no use to one who only reads. */
static int attach(int fd, bool read_only, int carrier_fd, struct evr_region **ret_region)
{
	struct evri_os_memory_info info;
	struct evr_region *region;
	int error = evri_os_memory_inspect(fd, &info);

	if (error == 0 && !info.writable && !read_only)
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
	if (!is_page_size(info.page_bytes) || info.bytes % info.page_bytes)
		return evri_fail(-EMEDIUMTYPE,
				 "a file of %" PRIu64 " bytes in pages of %" PRIu64
				 " is no region",
				 info.bytes, info.page_bytes);

	region = new_view(info.bytes, info.page_bytes);
	if (!region)
		return -ENOMEM;
	region->read_only = read_only;
	error = evri_os_fd_duplicate(fd, &region->fd);
	if (error < 0)
		evri_fail_detail("descriptor %d: %s", fd, strerror(-error));
	if (error == 0)
		error = map_existing(region, info.bytes);
	if (error == 0 && !read_only)
		error = evri_participant_join(region, carrier_fd);
	if (error < 0) {
		free_view(region);
		return error;
	}
	*ret_region = region;
	return 0;
}

int evri_region_attach_with(int fd, int carrier_fd, struct evr_region **ret_region)
{
	return attach(fd, false, carrier_fd, ret_region);
}

int evr_region_attach_read_only(int fd, struct evr_region **ret_region)
{
	return attach(fd, true, -1, ret_region);
}

int evr_region_attach(int fd, struct evr_region **ret_region)
{
	return evri_region_attach_with(fd, -1, ret_region);
}

struct evr_region *evr_region_detach(struct evr_region *region)
{
	if (!region)
		return NULL;
	if (!evri_region_is_here(region)) {
		region->base = NULL;
		return free_view(region);
	}
	if (region->before_leave)
		region->before_leave(region);
	if (!region->read_only)
		evri_participant_leave(region);
	return free_view(region);
}

int evr_region_fd(const struct evr_region *region)
{
	return region->fd;
}

uint32_t evr_region_number(const struct evr_region *region)
{
	return region->number;
}

uint64_t evr_region_bytes_max(const struct evr_region *region)
{
	return region->bytes;
}

uint64_t evr_region_page_bytes(const struct evr_region *region)
{
	return region->page_bytes;
}

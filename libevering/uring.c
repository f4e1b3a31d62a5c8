/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* uring.c - see <evering/uring.h>. */

#include <evering/uring.h>

#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "uring_internal.h"

#define NAME_DEFAULT "uring"
#define SUBMISSION_CAPACITY_DEFAULT 1024
#define COMPLETION_CAPACITY_DEFAULT 256
#define SUBMITTERS_DEFAULT 16

/* log2 of a power of two within the orders of rings, or -1. */
static int order_of(uint32_t capacity, uint32_t order_max)
{
	if (capacity < 2 || (capacity & (capacity - 1)) ||
	    capacity > UINT32_C(1) << order_max)
		return -1;
	return __builtin_ctz(capacity);
}

static int check_options(const struct evr_uring_options *options,
			 struct evr_uring_options *ret)
{
	struct evr_uring_options known = { 0 };

	if (options) {
		int error = evri_options_take(options, sizeof(options->size), &known,
					      sizeof(known), "uring");

		if (error < 0)
			return error;
	}
	if (!known.name)
		known.name = NAME_DEFAULT;
	if (!known.submission_capacity)
		known.submission_capacity = SUBMISSION_CAPACITY_DEFAULT;
	if (!known.completion_capacity)
		known.completion_capacity = COMPLETION_CAPACITY_DEFAULT;
	if (!known.submitters)
		known.submitters = SUBMITTERS_DEFAULT;
	if (known.submitters > EVR_URING_HOMES_MAX)
		return evri_fail(-EINVAL, "submitters %u: at most %d", known.submitters,
				 EVR_URING_HOMES_MAX);
	if (order_of(known.submission_capacity, EVR_RING_ORDER_MAX) < 0)
		return evri_fail(-EINVAL,
				 "submission_capacity %u: a power of two, 2 to 2^%d",
				 known.submission_capacity, EVR_RING_ORDER_MAX);
	if (order_of(known.completion_capacity, EVR_RING_ORDER_MAX - 1) < 0)
		return evri_fail(-EINVAL,
				 "completion_capacity %u: a power of two, 2 to 2^%d",
				 known.completion_capacity, EVR_RING_ORDER_MAX - 1);
	*ret = known;
	return 0;
}

static int make_view(struct evr_pool *pool, const struct evri_uring *layout,
		     struct evr_uring **ret)
{
	struct evr_uring *uring = calloc(1, sizeof(*uring));
	int error;

	if (!uring)
		return -ENOMEM;
	uring->pool = pool;
	uring->layout = *layout;
	error = evri_uring_submissions(layout, &uring->submissions);
	if (error < 0) {
		free(uring);
		return evri_fail(error, "the uring's submission ring contradicts itself");
	}
	*ret = uring;
	return 0;
}

int evr_uring_create(struct evr_pool *pool, const struct evr_uring_options *user_options,
		     struct evr_uring **ret)
{
	struct evr_uring_options options;
	struct evri_uring layout = { 0 };
	struct evri_object object;
	int error = check_options(user_options, &options);

	if (error < 0)
		return error;

	uint64_t bytes = evri_uring_lay_out(
		(uint32_t)order_of(options.submission_capacity, EVR_RING_ORDER_MAX),
		(uint32_t)order_of(options.completion_capacity, EVR_RING_ORDER_MAX),
		options.submitters, &layout);
	error = evri_directory_reserve(pool->region, options.name, EVRI_OBJECT_URING,
				       bytes, options.range, &object);
	if (error < 0)
		return error;
	layout.shared = object.address;
	layout.id = object.index;
	layout.request_bytes = options.request_bytes;
	layout.response_bytes = options.response_bytes;
	evri_uring_init(&layout);
	error = evri_directory_publish(pool->region, &object);
	if (error < 0)
		return error;
	return make_view(pool, &layout, ret);
}

static bool sizes_differ(uint32_t here, uint32_t there)
{
	return here != 0 && there != 0 && here != there;
}

int evr_uring_open(struct evr_pool *pool, const char *name, uint32_t request_bytes,
		   uint32_t response_bytes, struct evr_uring **ret)
{
	struct evri_object object;
	struct evri_uring layout;
	int error = evri_directory_find(pool->region, name ? name : NAME_DEFAULT,
					EVRI_OBJECT_URING, &object);

	if (error < 0)
		return error;
	error = evri_uring_bind(&object, &layout);
	if (error < 0)
		return evri_fail(error, "the header of uring \"%s\" contradicts itself",
				 object.name);
	if (sizes_differ(request_bytes, layout.request_bytes) ||
	    sizes_differ(response_bytes, layout.response_bytes))
		return evri_fail(
			-EPROTO,
			"requests of %u and responses of %u bytes here, %u and %u in "
			"uring \"%s\"",
			request_bytes, response_bytes, layout.request_bytes,
			layout.response_bytes, object.name);
	return make_view(pool, &layout, ret);
}

struct evr_uring *evr_uring_close(struct evr_uring *uring)
{
	free(uring);
	return NULL;
}

int evr_uring_shutdown(struct evr_uring *uring)
{
	/* A handle of its own: the view is shared by threads. */
	struct evr_ring ring = uring->submissions;
	int error;

	if (uring->pool->region->read_only)
		return -EROFS;
	error = evr_ring_close(&ring);
	if (error < 0)
		return error;
	evr_doorbell_ring_all(&uring->layout.shared->bell);
	for (uint32_t slot = 0; slot < uring->layout.homes_count; slot++)
		evr_doorbell_ring_all(&evri_home_at(&uring->layout, slot)->bell);
	return 0;
}

struct evr_pool *evr_uring_pool(const struct evr_uring *uring)
{
	return uring->pool;
}

uint32_t evr_uring_window(const struct evr_uring *uring)
{
	return (UINT32_C(1) << uring->layout.completion_order) - 1;
}

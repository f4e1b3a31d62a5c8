/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One region behind a name. Start it several times, kill any of them: whoever starts next
 * is in the same region as long as one is left.
 *
 *	examples/named NAME </dev/null     is in and leaves
 *	examples/named NAME                stays until Enter, or the end of its input
 */
#include <err.h>
#include <evering/evering.h>
#include <stdio.h>
#include <time.h>

static int set_up(void *context, struct evr_region *region)
{
	struct evr_pool_class class = {.payload_bytes = 64, .blocks_count = 64};
	struct evr_pool_options of = {sizeof(of), .classes = &class, .classes_count = 1};
	struct evr_pool *pool;
	int error = evr_pool_create(region, &of, &pool);

	(void)context;
	if (error == 0)
		evr_pool_close(pool);
	return error;
}

int main(int count, char **arguments)
{
	struct evr_region_options create = {.size = sizeof(create), .bytes = 1 << 20};
	struct evr_named_options options = {
		.size = sizeof(options),
		.name = count == 2 ? arguments[1] : "example",
		.create = &create,
		.setup = set_up,
	};
	struct evr_named *named;
	struct timespec now;
	uint64_t deadline_ns;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &now);
	deadline_ns = ((uint64_t)now.tv_sec + 5) * 1000000000 + (uint64_t)now.tv_nsec;
	error = evr_named_open(&options, deadline_ns, &named);
	if (error < 0)
		errx(1, "%s (%s)", evr_strerror(error), evr_error_detail());
	printf("%s, as participant %u\n",
	       evr_named_was_created(named) ? "made it" : "got in",
	       evr_region_number(evr_named_region(named)));
	fflush(stdout);
	getchar();
	evr_named_close(named);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_version.c - version.h: three numbers, and the one that the library says itself. */

#include "fixture.h"

#include <string.h>

Test(version, the_library_says_the_version_that_its_header_declares)
{
	cr_assert_str_eq(evr_version(), EVR_VERSION_STRING);
}

Test(version, the_string_is_made_of_the_three_numbers)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", EVR_VERSION_MAJOR, EVR_VERSION_MINOR,
		 EVR_VERSION_PATCH);
	cr_assert_str_eq(EVR_VERSION_STRING, text);
}

Test(version, later_versions_compare_greater)
{
	cr_assert_eq(EVR_API_VERSION, EVR_VERSION_MAJOR * 65536 +
					      EVR_VERSION_MINOR * 256 +
					      EVR_VERSION_PATCH);
	cr_assert_gt(EVR_API_VERSION, 0);
}

Test(version, a_region_says_which_versions_made_it)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	struct evr_region_shared *shared = scribble_map(region);

	cr_assert_eq(shared->layout_version, EVR_LAYOUT_VERSION);
	cr_assert_eq(shared->api_version, EVR_API_VERSION);
	cr_assert_eq(shared->abi_version, EVR_ABI_VERSION);
	cr_assert_eq(shared->features_compat, EVR_FEATURES_COMPAT);
	cr_assert_eq(shared->features_ro_compat, EVR_FEATURES_RO_COMPAT);
	cr_assert_eq(shared->features_incompat, EVR_FEATURES_INCOMPAT);
	evr_region_detach(region);
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_base.c - base.h: macros that change how fast, and never what. */

#include <criterion/criterion.h>

#include <evering/base.h>

Test(base, a_branch_hint_is_the_truth_of_its_argument_which_it_looks_at_once)
{
	int looks = 0;

	cr_assert_eq(EVR_LIKELY(7), 1);
	cr_assert_eq(EVR_LIKELY(0), 0);
	cr_assert_eq(EVR_UNLIKELY(UINT64_C(1) << 40), 1);
	cr_assert_eq(EVR_UNLIKELY(0), 0);
	cr_assert_eq(EVR_UNLIKELY(looks++), 0);
	cr_assert_eq(looks, 1);
}

Test(base, a_prefetch_of_any_address_is_harmless)
{
	evri_prefetch_read(NULL);
	evri_prefetch_write(NULL);
	evri_prefetch_read((const void *)UINTPTR_MAX);
	evri_prefetch_write((const void *)(UINTPTR_MAX / 2));
}

static struct EVR_CACHE_ALIGNED {
	char byte;
} neighbours[2];

Test(base, what_is_cache_aligned_shares_its_line_with_nobody)
{
	cr_assert_eq((uintptr_t)&neighbours[0] % EVR_CACHE_LINE_BYTES, 0);
	cr_assert_eq((char *)&neighbours[1] - (char *)&neighbours[0],
		     EVR_CACHE_LINE_BYTES);
}

EVR_INLINE int declared_inline(int value)
{
	return value + 1;
}

EVR_NODISCARD static int declared_nodiscard(void)
{
	return 3;
}

Test(base, the_linkage_macros_leave_functions_callable)
{
	cr_assert_eq(declared_inline(1), 2);
	cr_assert_eq(declared_nodiscard(), 3);
}

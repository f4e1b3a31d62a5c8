/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_error.c - error.h: every code has a sentence, a failing call explains itself. */

#include <evering/error.h>

#include "internal_error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const int codes[] = {
	EAGAIN, ETIMEDOUT, EPIPE, EOWNERDEAD, ENOTRECOVERABLE, EUCLEAN, EPROTO, ENOSPC,
	ENOMEM, ECANCELED, E2BIG, EINVAL, ESTALE, EPERM, EXDEV, EEXIST, ENOENT, EBUSY,
	EMFILE, EMEDIUMTYPE, ENODATA, ENODEV, EBADF, EINTR, EOVERFLOW, ERANGE,
	EFAULT, EADDRINUSE, ECONNREFUSED, ENXIO, ELOOP, ENAMETOOLONG, EPROTOTYPE, ENOTDIR,
	EACCES, EROFS,
};

Test(error, every_code_that_the_library_returns_has_a_sentence_of_its_own)
{
	size_t i;
	size_t j;

	for (i = 0; i < COUNT_OF(codes); i++) {
		const char *sentence = evr_strerror(-codes[i]);

		cr_assert_neq(strcmp(sentence, "unknown error"), 0, "code %d", codes[i]);
		cr_assert_neq(strcmp(sentence, strerror(codes[i])), 0,
			      "code %d says only what the system says", codes[i]);
		for (j = 0; j < i; j++)
			cr_assert_neq(strcmp(sentence, evr_strerror(codes[j])), 0,
				      "codes %d and %d share a sentence", codes[i],
				      codes[j]);
	}
}

Test(error, the_sign_of_an_error_does_not_matter)
{
	size_t i;

	for (i = 0; i < COUNT_OF(codes); i++)
		cr_assert_eq(evr_strerror(codes[i]), evr_strerror(-codes[i]));
}

Test(error, a_number_that_is_no_error_of_the_library_is_an_unknown_error)
{
	static const int strange[] = {
		9999, -9999, INT_MAX, INT_MIN, INT_MIN + 1, ENOTTY
	};
	size_t i;

	for (i = 0; i < COUNT_OF(strange); i++)
		cr_assert_str_eq(evr_strerror(strange[i]), "unknown error", "number %d",
				 strange[i]);
	cr_assert_str_eq(evr_strerror(0), "success");
}

Test(error, there_is_no_detail_before_a_call_has_failed)
{
	cr_assert_str_eq(evr_error_detail(), "");
}

Test(error, a_failing_call_returns_its_error_and_leaves_the_values_it_saw)
{
	cr_assert_eq(evri_fail(-EPROTO, "layout version %d here, %d in the region", 2, 3),
		     -EPROTO);
	cr_assert_str_eq(evr_error_detail(), "layout version 2 here, 3 in the region");
	cr_assert_eq(evri_fail(-ENOMEM, "%s", "no memory"), -ENOMEM);
	cr_assert_str_eq(evr_error_detail(), "no memory");
}

Test(error, asking_for_a_sentence_does_not_touch_the_detail)
{
	evri_fail(-EBUSY, "held by participant %d", 7);
	evr_strerror(-EPROTO);
	cr_assert_str_eq(evr_error_detail(), "held by participant 7");
}

Test(error, a_detail_that_is_too_long_is_cut_at_255_bytes)
{
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	evri_fail(-EINVAL, "%s", text);
	cr_assert_eq(strlen(evr_error_detail()), 255);
	cr_assert_eq(strncmp(evr_error_detail(), text, 255), 0);
}

Test(error, a_failing_call_leaves_errno_as_it_was)
{
	errno = ENOTTY;
	evri_fail(-EINVAL, "%d", 1);
	evr_strerror(-EINVAL);
	evr_error_detail();
	cr_assert_eq(errno, ENOTTY);
}

static void *fail_elsewhere(void *ret_was_empty)
{
	*(bool *)ret_was_empty = evr_error_detail()[0] == '\0';
	evri_fail(-EINVAL, "of the other thread");
	return NULL;
}

Test(error, each_thread_has_a_detail_of_its_own)
{
	bool was_empty = false;
	pthread_t thread;

	evri_fail(-EINVAL, "of this thread");
	cr_assert_eq(pthread_create(&thread, NULL, fail_elsewhere, &was_empty), 0);
	pthread_join(thread, NULL);
	cr_assert(was_empty, "a new thread saw the detail of another");
	cr_assert_str_eq(evr_error_detail(), "of this thread");
}

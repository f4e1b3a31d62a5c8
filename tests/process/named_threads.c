/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * named_threads.c - threads of one process that open and close one name all the time,
 * each time as members of their own, while another thread forks. Whenever two of them are
 * in, they are in the same region.
 */

#include "process.h"

#include <dirent.h>
#include <pthread.h>

#define THREADS 4

static char directory[64];
static char address[80];
static int rounds;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int in_count;
static uint8_t in_id[16];
static uint32_t made;
static uint32_t joined;
static uint32_t others; /* were in another region */
static uint32_t failed;
static char why[200];
static struct evr_atomic_u32 done;

static void id_of(struct evr_named *named, uint8_t id[16])
{
	uint64_t bytes;
	struct evr_region_shared *base =
		audit_map(evr_region_fd(evr_named_region(named)), &bytes);

	MUST(base != NULL);
	memcpy(id, base->id, 16);
	munmap(base, bytes);
}

static void come_in(struct evr_named *named)
{
	uint8_t id[16];

	id_of(named, id);
	pthread_mutex_lock(&lock);
	if (in_count++ == 0)
		memcpy(in_id, id, sizeof(in_id));
	else if (memcmp(in_id, id, sizeof(in_id)) != 0)
		others++;
	made += evr_named_was_created(named);
	joined += !evr_named_was_created(named);
	pthread_mutex_unlock(&lock);
}

static void note_failure(void)
{
	pthread_mutex_lock(&lock);
	failed++;
	snprintf(why, sizeof(why), "%s", evr_error_detail());
	pthread_mutex_unlock(&lock);
}

static void *come_and_go(void *argument)
{
	uint64_t seed = (uintptr_t)argument;
	struct evr_region_options create = {.size = sizeof(create),
					    .bytes = UINT64_C(1) << 20};
	struct evr_named_options options = {.size = sizeof(options),
					    .address = address,
					    .create = &create,
					    .standbys = 1};

	for (int i = 0; i < rounds; i++) {
		struct evr_named *named = NULL;

		if (evr_named_open(&options, now_ns() + 30 * SECOND_NS, &named) < 0) {
			note_failure();
			continue;
		}
		come_in(named);
		sleep_us(next_random(&seed) % 500);
		pthread_mutex_lock(&lock);
		in_count--;
		pthread_mutex_unlock(&lock);
		evr_named_close(named);
		if (next_random(&seed) % 4 == 0)
			sleep_us(next_random(&seed) % 2000);
	}
	return NULL;
}

/* Each child lives on for a while; none of them keeps anything. */
static void *fork_all_the_time(void *argument)
{
	(void)argument;
	while (!evr_load_acquire_u32(&done)) {
		pid_t child = fork();

		if (child == 0) {
			alarm(5);
			sleep_us(20000);
			_exit(0);
		}
		sleep_us(1000);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	return NULL;
}

static int entries_in(const char *path)
{
	DIR *stream = opendir(path);
	int count = -2;

	MUST(stream != NULL);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count;
}

int main(int argc, char **argv)
{
	const char *name = "threads that open and close one name, while another forks, "
			   "are in one region";
	const char *leaves = "they leave no descriptor and no file";
	const char *parent = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	bool forks = argc < 2 || strcmp(argv[1], "--threads") != 0;
	pthread_t threads[THREADS];
	pthread_t forker;
	int descriptors;

	alarm(PROCESS_SECONDS_MAX);
	rounds = report_quick() ? 50 : 200;
	snprintf(directory, sizeof(directory), "%s/evr-named-XXXXXX", parent);
	MUST(mkdtemp(directory) != NULL);
	snprintf(address, sizeof(address), "%s/meet", directory);
	descriptors = entries_in("/proc/self/fd");

	if (forks)
		MUST(pthread_create(&forker, NULL, fork_all_the_time, NULL) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)) ==
		     0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	evr_store_release_u32(&done, 1);
	if (forks)
		pthread_join(forker, NULL);

	printf("%u times made, %u times joined\n", made, joined);
	if (failed || others || made == 0 || joined == 0)
		report_not_ok(name,
			      "%u times not in (%s), %u times in another region, %u "
			      "times made, %u times joined",
			      failed, why, others, made, joined);
	else
		report_ok(name);
	if (entries_in("/proc/self/fd") != descriptors || entries_in(directory) != 0)
		report_not_ok(leaves, "%d descriptors, %d before, %d files",
			      entries_in("/proc/self/fd"), descriptors,
			      entries_in(directory));
	else
		report_ok(leaves);
	rmdir(directory);
	return report_end();
}

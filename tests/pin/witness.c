/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What evering-pin starts in its tests. It says where it may run and where its memory
 * comes from, as the kernel sees it:
 *
 *	witness tree                 itself, threads, a child, a grandchild and a thread
 *	                             of it: "WHO cpus=LIST policy=NAME nodes=LIST" each
 *	witness crowd COUNT [MODE]   COUNT sleeping threads; "ready" when all are there.
 *	                             MODE churn: four more start threads that soon end;
 *	                             MODE unruly: two take all the CPUs back all the time
 *	witness memory MIB [stay]    touches so much memory; in which node each page lies
 *	witness role NAME INDEX...   pins itself by its role: "NAME INDEX cpu=N cpus=LIST"
 *
 * Those that stay end by themselves after a minute.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <evering/cpu.h>
#include <evering/error.h>

enum {
	NODE_BITS = 1024,
	CPU_BITS = 1 << 16,
	CHURNING_THREADS = 4,
	UNRULY_THREADS = 2,
};

static void fail(const char *what)
{
	fprintf(stderr, "witness: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* The CPUs that this thread may use, as the kernel writes them; to be freed. */
static char *allowed_cpus(void)
{
	const char key[] = "Cpus_allowed_list:\t";
	char *line = NULL, *list = NULL;
	size_t bytes = 0;
	FILE *file = fopen("/proc/thread-self/status", "r");

	if (!file)
		fail("/proc/thread-self/status");
	while (!list && getline(&line, &bytes, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, key, strlen(key)))
			list = strdup(line + strlen(key));
	}
	free(line);
	fclose(file);
	if (!list)
		fail("Cpus_allowed_list");
	return list;
}

static const char *policy_name(int mode)
{
	switch (mode) {
	case MPOL_DEFAULT:
		return "default";
	case MPOL_PREFERRED:
		return "preferred";
	case MPOL_BIND:
		return "bind";
	case MPOL_INTERLEAVE:
		return "interleave";
	default:
		return "other";
	}
}

static void say(const char *who)
{
	char nodes[4096] = "";
	unsigned long mask[NODE_BITS / (8 * sizeof(long))] = { 0 };
	const unsigned long bits = 8 * sizeof(long);
	char *cpus = allowed_cpus();
	size_t used = 0;
	int mode;

	if (get_mempolicy(&mode, mask, NODE_BITS, NULL, 0))
		fail("get_mempolicy");
	for (unsigned long i = 0; i < NODE_BITS; i++) {
		if (!(mask[i / bits] >> i % bits & 1))
			continue;
		used += (size_t)snprintf(nodes + used, sizeof(nodes) - used, "%s%lu",
					 used ? "," : "", i);
	}
	printf("%s cpus=%s policy=%s nodes=%s\n", who, cpus, policy_name(mode), nodes);
	fflush(stdout);
	free(cpus);
}

static void *say_and_end(void *who)
{
	say(who);
	return NULL;
}

static void say_in_thread(const char *who)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, say_and_end, (void *)(uintptr_t)who);
	if (errno)
		fail("pthread_create");
	pthread_join(thread, NULL);
}

/* Runs the function in a child and waits for it. */
static void in_child(void (*function)(void))
{
	int status;
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		function();
		exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) != child || status)
		fail("a child");
}

static void grandchild(void)
{
	say("grandchild");
	say_in_thread("grandchild's-thread");
}

static void child(void)
{
	say("child");
	in_child(grandchild);
}

static void tree(void)
{
	say("main");
	say_in_thread("thread-0");
	say_in_thread("thread-1");
	in_child(child);
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *live_shortly(void *unused)
{
	usleep(100);
	return unused;
}

static void *churn(void *unused)
{
	pthread_t thread;

	for (;;) {
		if (pthread_create(&thread, NULL, live_shortly, NULL))
			usleep(1000);
		else
			pthread_join(thread, NULL);
	}
	return unused;
}

static void *take_all_cpus_back(void *unused)
{
	size_t bytes = CPU_ALLOC_SIZE(CPU_BITS);
	cpu_set_t *all = CPU_ALLOC(CPU_BITS);

	memset(all, 0xff, bytes);
	for (;;) {
		sched_setaffinity(0, bytes, all);
		sched_yield();
	}
	return unused;
}

static void start(void *(*function)(void *))
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, function, NULL);
	if (errno)
		fail("pthread_create");
}

static void crowd(int count, const char *mode)
{
	for (int i = 1; i < count; i++)
		start(sleep_on);
	for (int i = 0; mode && !strcmp(mode, "churn") && i < CHURNING_THREADS; i++)
		start(churn);
	for (int i = 0; mode && !strcmp(mode, "unruly") && i < UNRULY_THREADS; i++)
		start(take_all_cpus_back);
	puts("ready");
	fflush(stdout);
	sleep_on(NULL);
}

static void memory(size_t mib)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	const size_t bytes = mib << 20, count = bytes / page_bytes;
	unsigned long pages_of[NODE_BITS] = { 0 };
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		fail("mmap");
	madvise(map, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < count; i++)
		map[i * page_bytes] = 1;
	for (size_t i = 0; i < count; i++) {
		void *page = map + i * page_bytes;
		int status = -1;

		if (move_pages(0, 1, &page, NULL, &status, 0) || status < 0)
			fail("move_pages");
		pages_of[status]++;
	}
	say("main");
	for (int i = 0; i < NODE_BITS; i++) {
		if (pages_of[i])
			printf("node %d pages=%lu\n", i, pages_of[i]);
	}
	printf("map %lx\nready\n", (unsigned long)map);
	fflush(stdout);
}

static enum evr_cpu_role role_of(const char *name)
{
	if (!strcmp(name, "submitter"))
		return EVR_CPU_SUBMITTER;
	return strcmp(name, "completer") ? EVR_CPU_WORKER : EVR_CPU_COMPLETER;
}

/* Each in a thread of its own, so that one does not narrow what the next may use. */
static void *take_role(void *argument)
{
	char **words = argument;
	char *cpus;
	int cpu = -1;
	int error = evr_cpu_pin_role(role_of(words[0]), (uint32_t)atoi(words[1]), &cpu);

	if (error) {
		printf("%s %s error=%s\n", words[0], words[1], strerrorname_np(-error));
		return NULL;
	}
	cpus = allowed_cpus();
	printf("%s %s cpu=%d cpus=%s\n", words[0], words[1], cpu, cpus);
	free(cpus);
	return NULL;
}

static void roles(char **words)
{
	for (; words[0] && words[1]; words += 2) {
		pthread_t thread;

		errno = pthread_create(&thread, NULL, take_role, words);
		if (errno)
			fail("pthread_create");
		pthread_join(thread, NULL);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	alarm(60);
	if (!strcmp(what, "tree")) {
		tree();
	} else if (!strcmp(what, "crowd") && argc > 2) {
		crowd(atoi(argv[2]), argv[3]);
	} else if (!strcmp(what, "memory") && argc > 2) {
		memory((size_t)atoi(argv[2]));
		if (argc > 3)
			sleep_on(NULL);
	} else if (!strcmp(what, "role")) {
		roles(argv + 2);
	} else {
		fputs("witness: tree, crowd COUNT [churn|unruly], memory MIB [stay], "
		      "role NAME INDEX...\n", stderr);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * step.c - drives the victim to one of its instructions, by ptrace.
 *
 * Every point of an N-instruction operation is a run of its own, and stepping all the
 * way each time would cost N^2/2 steps of about 20 us. So the first run steps and writes
 * down the addresses; later runs *leap*: a breakpoint at an address that is met rarely
 * before the wanted point, then single steps for the rest. The address found at the end
 * is compared with the one written down; on a difference the run is repeated by steps
 * alone. Text pages are private to each victim, so a breakpoint disturbs nobody else.
 */

#include "crash.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>

extern char crash_end_mark[];
extern char __executable_start[], etext[];

#define BREAKPOINT 0xcc

/* A pass over a breakpoint costs about as much as so many steps. */
#define PASS_COST 3

static char problem[160];
static volatile sig_atomic_t barked;
static volatile sig_atomic_t seconds_left;

__attribute__((noinline, noclone)) void step_through(const struct scenario *scenario,
						     struct party *victim)
{
	__asm__ __volatile__("int3" ::: "memory");
	scenario->operate(victim);
	__asm__ __volatile__(".globl crash_end_mark\ncrash_end_mark: int3" ::: "memory");
}

static void bark(int signal_number)
{
	(void)signal_number;
	/* Counted in seconds of its own, of which one that is not running has none. */
	if (seconds_left-- <= 0)
		barked = 1;
}

void step_watchdog(unsigned int seconds)
{
	struct sigaction action = {.sa_handler = bark};
	struct itimerval timer = {.it_value.tv_sec = seconds != 0,
				  .it_interval.tv_sec = seconds != 0};

	barked = 0;
	seconds_left = (sig_atomic_t)seconds;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

const char *step_problem(void)
{
	return problem;
}

uint64_t step_address(pid_t pid)
{
	errno = 0;
	return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), 0);
}

static void set_address(pid_t pid, uint64_t address)
{
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip), address);
}

/* Waits for a trap. */
static enum step_result wait_for_trap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR || barked) {
			snprintf(problem, sizeof(problem), "the victim hangs at %s",
				 symbol_at(step_address(pid)));
			return STEP_LOST;
		}
	}
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
		return STEP_OK;
	if (WIFSTOPPED(status))
		snprintf(problem, sizeof(problem), "the victim got signal %d at %s",
			 WSTOPSIG(status), symbol_at(step_address(pid)));
	else if (WIFSIGNALED(status))
		snprintf(problem, sizeof(problem), "the victim died of signal %d",
			 WTERMSIG(status));
	else
		snprintf(problem, sizeof(problem), "the victim exited with status %d",
			 WEXITSTATUS(status));
	return STEP_LOST;
}

static enum step_result go(enum __ptrace_request how, pid_t pid)
{
	if (ptrace(how, pid, 0, 0) < 0) {
		snprintf(problem, sizeof(problem), "ptrace: %s", strerror(errno));
		return STEP_LOST;
	}
	return wait_for_trap(pid);
}

enum step_result step_to_begin(pid_t pid)
{
	enum step_result result = wait_for_trap(pid);

	if (result == STEP_OK)
		ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
	return result;
}

static void trace_add(struct trace *trace, uint64_t address)
{
	if (trace->count == trace->capacity) {
		trace->capacity = trace->capacity ? 2 * trace->capacity : 1024;
		trace->address = realloc(trace->address,
					 trace->capacity * sizeof(*trace->address));
		if (!trace->address)
			abort();
	}
	trace->address[trace->count++] = address;
}

static bool in_text(uint64_t address)
{
	return address >= (uintptr_t)__executable_start && address < (uintptr_t)etext;
}

/* How often each address was met before: a small open hash table. */
static void count_passes(struct trace *trace)
{
	uint32_t slots = 1;

	while (slots < 4 * trace->count + 4)
		slots *= 2;

	uint64_t *key = calloc(slots, sizeof(*key));
	uint32_t *met = calloc(slots, sizeof(*met));
	if (!key || !met)
		abort();
	for (uint32_t i = 0; i < trace->count; i++) {
		uint64_t address = trace->address[i];
		uint32_t slot =
			(uint32_t)(address * 0x9e3779b97f4a7c15U >> 40) & (slots - 1);

		while (key[slot] && key[slot] != address)
			slot = (slot + 1) & (slots - 1);
		key[slot] = address;
		trace->passes[i] = met[slot]++;
	}
	free(key);
	free(met);
}

static void find_anchors(struct trace *trace)
{
	size_t bytes = trace->count * sizeof(uint32_t);
	int64_t best_cost = 0;
	uint32_t best = 0;

	trace->passes = malloc(bytes + 1);
	trace->anchor = malloc(bytes + 1);
	if (!trace->passes || !trace->anchor)
		abort();
	count_passes(trace);
	/* To reach point p over anchor j costs PASS_COST * passes(j) + (p - j). */
	for (uint32_t i = 0; i < trace->count; i++) {
		int64_t cost = (int64_t)PASS_COST * (trace->passes[i] + 1) - i;

		if (in_text(trace->address[i]) && cost < best_cost) {
			best_cost = cost;
			best = i;
		}
		trace->anchor[i] = best;
	}
}

void trace_free(struct trace *trace)
{
	free(trace->address);
	free(trace->anchor);
	free(trace->passes);
	free(trace->stores);
	memset(trace, 0, sizeof(*trace));
}

static void note_store(struct trace *trace)
{
	uint32_t count = trace->stores_count++;

	trace->stores = realloc(trace->stores, (count + 1) * sizeof(*trace->stores));
	if (!trace->stores)
		abort();
	trace->stores[count] = trace->count;
}

/* Is the instruction there "syscall"? */
static bool is_system_call(pid_t pid, uint64_t address)
{
	return (ptrace(PTRACE_PEEKTEXT, pid, address, 0) & 0xffff) == 0x050f;
}

enum step_result step_record(pid_t pid, struct trace *trace,
			     const struct watched *watched)
{
	static char before[WATCHED_MAX];
	size_t before_bytes, bytes;
	const void *seen = watched->look(watched->house, pid, &before_bytes);
	enum step_result result = STEP_OK;
	uint64_t address;

	memcpy(before, seen, before_bytes);
	while (result == STEP_OK &&
	       (address = step_address(pid)) != (uintptr_t)crash_end_mark) {
		bool remarkable = is_system_call(pid, address);

		trace_add(trace, address);
		result = go(PTRACE_SINGLESTEP, pid);
		seen = watched->look(watched->house, pid, &bytes);
		if (bytes != before_bytes || memcmp(before, seen, bytes) != 0) {
			memcpy(before, seen, bytes);
			before_bytes = bytes;
			remarkable = true;
		}
		if (remarkable)
			note_store(trace);
	}
	if (result != STEP_OK)
		return result;
	find_anchors(trace);
	return STEP_ENDED;
}

/* Runs until @address is about to be executed for the (@passes + 1)th time. */
static enum step_result leap_to(pid_t pid, uint64_t address, uint32_t passes)
{
	errno = 0;
	long text = ptrace(PTRACE_PEEKTEXT, pid, address, 0);
	long trap = (long)(((uint64_t)text & ~UINT64_C(0xff)) | BREAKPOINT);
	enum step_result result;

	if (step_address(pid) == address) {
		if (passes-- == 0)
			return STEP_OK;
		result = go(PTRACE_SINGLESTEP, pid);
		if (result != STEP_OK)
			return result;
	}
	for (;;) {
		ptrace(PTRACE_POKETEXT, pid, address, trap);
		result = go(PTRACE_CONT, pid);
		if (result != STEP_OK)
			return result;
		ptrace(PTRACE_POKETEXT, pid, address, text);
		uint64_t at = step_address(pid) - 1;
		if (at != address) { /* the end mark */
			set_address(pid, at);
			return STEP_ENDED;
		}
		set_address(pid, at);
		if (passes-- == 0)
			return STEP_OK;
		result = go(PTRACE_SINGLESTEP, pid);
		if (result != STEP_OK)
			return result;
	}
}

enum step_result step_reach(pid_t pid, const struct trace *trace, uint32_t point,
			    bool leap)
{
	uint32_t at = 0;

	if (leap && point < trace->count && trace->anchor[point] > 0) {
		at = trace->anchor[point];
		enum step_result result =
			leap_to(pid, trace->address[at], trace->passes[at]);
		if (result != STEP_OK)
			return result;
	}
	while (at < point) {
		if (step_address(pid) == (uintptr_t)crash_end_mark)
			return STEP_ENDED;
		enum step_result result = go(PTRACE_SINGLESTEP, pid);
		if (result != STEP_OK)
			return result;
		at++;
	}
	return STEP_OK;
}

enum step_result step_finish(pid_t pid)
{
	if (step_address(pid) == (uintptr_t)crash_end_mark)
		set_address(pid, (uintptr_t)crash_end_mark + 1);
	else {
		enum step_result result = go(PTRACE_CONT, pid);
		if (result != STEP_OK)
			return result;
		if (step_address(pid) != (uintptr_t)crash_end_mark + 1) {
			snprintf(problem, sizeof(problem), "a trap at %s",
				 symbol_at(step_address(pid)));
			return STEP_LOST;
		}
	}
	return STEP_ENDED;
}

int step_await_exit(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1000;
		if (barked) {
			kill(pid, SIGKILL);
			barked = 0;
		}
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

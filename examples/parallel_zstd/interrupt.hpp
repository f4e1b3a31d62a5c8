/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_INTERRUPT_HPP
#define PARALLEL_ZSTD_INTERRUPT_HPP

/* interrupt.hpp - ending early, at the user's wish, with everything cleaned up. */

namespace parallel_zstd
{

/* From here on SIGINT, SIGTERM and SIGHUP are remembered and end a system call that
 * waits, and a reader that has gone is an error of write(), not a signal. */
void remember_interrupts();

/* In a worker: the terminal's signals are its parent's business. */
void forget_interrupts();

/* Throws failure when one has come. */
void check_interrupt();

} // namespace parallel_zstd

#endif

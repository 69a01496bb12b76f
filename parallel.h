/* parallel: loops over owners. Every iteration owns the outputs it writes, so neither the number of threads nor the schedule
 * can change a bit. Without OpenMP the same loops run in one thread. */
#ifndef PARALLEL_H
#define PARALLEL_H

#define PRAGMA_(text) _Pragma(#text)

#ifdef _OPENMP
#include <omp.h>
/* The loop that follows is shared out evenly, when `worth` says that it is long enough. */
#define PARALLEL_FOR(worth) PRAGMA_(omp parallel for schedule(static) if (worth))
/* The same for iterations of unequal length. */
#define PARALLEL_FOR_UNEVEN(worth) PRAGMA_(omp parallel for schedule(dynamic) if (worth))
/* The statement that follows is done once by every thread. */
#define EVERY_THREAD PRAGMA_(omp parallel)
static inline int thread_count(void) { return omp_get_max_threads(); }
static inline int thread_id(void) { return omp_get_thread_num(); }
static inline void thread_limit(int n) { omp_set_num_threads(n); }
#else
#define PARALLEL_FOR(worth) (void)(worth);
#define PARALLEL_FOR_UNEVEN(worth) (void)(worth);
#define EVERY_THREAD
static inline int thread_count(void) { return 1; }
static inline int thread_id(void) { return 0; }
static inline void thread_limit(int n) { (void)n; }
#endif

/* Elements below which starting the threads costs more than they save. */
enum { WORTH_THREADS = 16384 };

#endif

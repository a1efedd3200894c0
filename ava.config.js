export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  timeout: '2m',
  concurrency: 2,
  // Tests start thousands of programs, and what a fork costs grows with the process: with one for all files, to twice the time.
  workerThreads: false,
}

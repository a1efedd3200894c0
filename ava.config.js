export default {
  extensions: {ts: 'module'},
  files: ['test/**/*.test.ts'],
  timeout: '2m',
  concurrency: 2,
}

/** Alert rules and dashboard: by promtool, by the table of metrics, and with a real Prometheus that scrapes real agents. Needs root. */
import {execFile} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join, relative} from 'node:path'
import {promisify} from 'node:util'
import test, {type ExecutionContext} from 'ava'
import {parse} from 'yaml'
import {files, readRules} from '../../scripts/monitoring.ts'
import type {Definition} from '../../src/observe/definition.ts'
import {TABLE} from '../../src/observe/metrics.ts'
import {bridgeConf} from '../agent/support/networks.ts'
import {built} from '../agent/support/node.ts'
import {type Cluster, startCluster} from '../agent/support/pairs.ts'
import {containerOf, only, podSpec, ROOT, render} from './support/manifests.ts'
import {type Prometheus, portTo, startPrometheus} from './support/prometheus.ts'
import {strangers} from './support/promql.ts'
import {problemsOf} from './support/schemas.ts'

test.before(built)

const FOLDER = join(ROOT, 'deploy', 'prometheus')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const run = promisify(execFile)
const RULES = readRules().groups.flatMap(({rules}) => rules)

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: {readonly x: number; readonly y: number; readonly w: number; readonly h: number}
  readonly targets?: readonly {readonly expr: string; readonly refId: string; readonly legendFormat: string}[]
}
interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: {readonly list: readonly {readonly name: string; readonly definition?: string}[]}
}
const dashboard = JSON.parse(read('deploy/prometheus/dashboard.json')) as Dashboard
const queries = dashboard.panels.flatMap(({title, targets = []}) => targets.map(({expr}) => ({title, expr})))

test('promtool: the rules are right, and their unit tests hold', async t => {
  t.regex((await run('promtool', ['check', 'rules', 'rules.yaml'], {cwd: FOLDER})).stdout, /SUCCESS/)
  t.regex((await run('promtool', ['test', 'rules', 'rules.test.yaml'], {cwd: FOLDER})).stdout, /SUCCESS/)
})

test('what is made from the rules is up to date: node scripts/monitoring.ts', t => {
  for (const [path, text] of Object.entries(files())) t.is(read(path), text, path)
})

test('every alert has a severity, words, a unit test, and a name of its own', t => {
  t.is(new Set(RULES.map(({alert}) => alert)).size, RULES.length)
  const tests = read('deploy/prometheus/rules.test.yaml')
  for (const {alert, labels, annotations} of RULES) {
    t.regex(alert, /^Netgraft[A-Z]\w+$/)
    t.true(['critical', 'warning', 'info'].includes(labels.severity), alert)
    t.deepEqual(Object.keys(annotations), ['summary', 'description'], alert)
    t.notRegex(annotations.description, /\{\{/, alert)
    t.true(tests.includes(`{alertname="${alert}"}`), `${alert} has no unit test`)
  }
})

test('rules, their unit tests and the dashboard name metrics, labels and values that there are', t => {
  for (const {alert, expr} of RULES) t.deepEqual(strangers(expr), [], alert)
  for (const {title, expr} of queries) t.deepEqual(strangers(expr), [], title)
  const {tests} = parse(read('deploy/prometheus/rules.test.yaml')) as {
    tests: {name: string; input_series: {series: string}[]}[]
  }
  for (const {name, input_series: series} of tests)
    for (const each of series) t.deepEqual(strangers(each.series), [], name)

  t.deepEqual(strangers('sum by (le, colour) (rate(netgraft_passes_total{result="good", shape=~".+"}[5m])) > 5'), [
    'netgraft_passes_total: result is never good',
    'netgraft_passes_total has no label shape',
    'nothing here has a label le',
    'nothing here has a label colour',
  ])
  t.throws(() => strangers('netgraft_pass_duration_seconds > 1'), {message: /no metric/})
})

test('every metric is on the dashboard', t => {
  const shown = queries.map(({expr}) => expr).join('\n')
  for (const {name} of Object.values<Definition>(TABLE)) t.true(shown.includes(name), name)
})

test('the dashboard is one that Grafana can lay out', t => {
  const {panels} = dashboard
  t.is(new Set(panels.map(({id}) => id)).size, panels.length)
  const taken = new Set<string>()
  for (const {title, type, description, targets = [], gridPos} of panels) {
    t.true(type === 'row' || (targets.length > 0 && description !== undefined), title)
    t.is(new Set(targets.map(({refId}) => refId)).size, targets.length, title)
    t.true(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        t.false(taken.has(`${x} ${y}`), title)
        taken.add(`${x} ${y}`)
      }
  }
  const variables = dashboard.templating.list.map(({name}) => name)
  const used = [...JSON.stringify(panels).matchAll(/\$\{?([a-z]\w*)/g)].map(([, name]) => name!)
  t.deepEqual([...new Set(used)].sort(), variables.sort())
})

test("the manifests for the operator are what its schemas ask for, and the limit of memory is the manifest's", async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ng-overlay-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  const deploy = join(ROOT, 'deploy')
  const [base, ...components] = ['overlays/default-cni', 'components/pod-monitor', 'prometheus'].map(each =>
    relative(folder, join(deploy, each)),
  )
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify({resources: [base], components}))
  const manifests = render(relative(deploy, folder))
  for (const kind of ['PodMonitor', 'PrometheusRule']) t.deepEqual(await problemsOf(only(manifests, kind)), [], kind)
  t.deepEqual(only(manifests, 'PrometheusRule').spec.groups, parse(read('deploy/prometheus/rules.yaml')).groups)
  const sidecar = manifests.filter(({metadata}) => metadata.labels?.grafana_dashboard === '1')
  t.deepEqual(JSON.parse(sidecar[0]!.data['netgraft.json']), dashboard)
  // kubectl apply keeps what it applied in an annotation, of which 256 KiB is the most.
  t.true(JSON.stringify(sidecar[0]).length < 200_000)

  const {limits} = (containerOf(podSpec(manifests), 'agent') as unknown as {resources: {limits: {memory: string}}})
    .resources
  const {expr} = RULES.find(({alert}) => alert === 'NetgraftMemoryNearLimit')!
  t.true(expr.endsWith(`${Number.parseInt(limits.memory, 10)} * 1024 * 1024`), `${expr}: the limit is ${limits.memory}`)
})

interface ScrapeConfig {
  readonly job_name: string
  readonly kubernetes_sd_configs: readonly object[]
}

/** The configuration of docs/monitoring.md, as it stands there. */
function documented(): {readonly scrape_configs: readonly [ScrapeConfig]; readonly rule_files: readonly string[]} {
  const [, block] = /```yaml\n(# prometheus\.yml\n[^`]*)```/.exec(read('docs/monitoring.md')) ?? []
  return parse(block!)
}

/** As the discovery of pods finds them, which Debian's Prometheus lacks: a port of a container is a target. */
const discovered = (node: string, name: string, container: string, portName: string, port: number) => ({
  targets: [`127.0.0.1:${port}`],
  labels: {
    __meta_kubernetes_namespace: 'kube-system',
    __meta_kubernetes_pod_name: `${name}-${node.repeat(5)}`,
    __meta_kubernetes_pod_node_name: node,
    __meta_kubernetes_pod_label_app_kubernetes_io_name: name,
    __meta_kubernetes_pod_container_name: container,
    __meta_kubernetes_pod_container_port_name: portName,
  },
})

/** Prometheus as the documentation says, but that it hurries. */
async function watching(t: ExecutionContext, cluster: Cluster): Promise<Prometheus> {
  const {scrape_configs, ...rest} = documented()
  const [{kubernetes_sd_configs, ...scrape}] = scrape_configs
  t.deepEqual(kubernetes_sd_configs, [{role: 'pod'}])
  const targets = [
    discovered('a', 'coredns', 'coredns', 'metrics', 9),
    discovered('a', 'netgraft', 'debug', 'shell', 9),
  ]
  for (const [name, {node}] of cluster.nodes) {
    const port = await portTo(t, join(dirname(node.agent.config), 'metrics.sock'))
    targets.push(discovered(name, 'netgraft', 'agent', 'metrics', port))
  }
  return startPrometheus(t, {
    ...rest,
    global: {evaluation_interval: '1s'},
    rule_files: [join(FOLDER, 'rules.yaml')],
    scrape_configs: [{...scrape, scrape_interval: '3s', scrape_timeout: '3s', static_configs: targets}],
  })
}

/** Of these a slow machine may show one for a while. */
const OF_LOAD = ['NetgraftEventLoopDelayed', 'NetgraftAddSlow', 'NetgraftSlowToKernel']
/** Panels of troubles, and of what happens once in an hour: agents that are well and young have none. */
const OF_TROUBLE = /^(Alerts|Refused|Failed operations|Failed calls|Errors$|Whole lists)/

test('a Prometheus scrapes agents, evaluates every rule and every query of the dashboard, and only troubles raise alerts', async t => {
  t.timeout(300_000)
  const cluster = await startCluster(t, {config: {networks: [{backend: 'vxlan'}]}})
  const a = cluster.at('a')
  a.define('green', bridgeConf('green', '10.97.1.0/24', {ipam: {}}))
  const x = await cluster.start('a', 'x', {
    pairs: [
      {peer: 'y', interface: 'in1'},
      {peer: 'z', interface: 'in2'},
    ],
  })
  await cluster.start('b', 'y')
  const z = await cluster.start('a', 'z')
  await cluster.told(x, 'up in1 vxlan', 'up in2 veth')
  a.annotate(x, {'k8s.v1.cni.cncf.io/networks': '[{"name": "green"}]'})
  await cluster.until(() => x.namespace.json('link', 'show').some(({ifname}) => ifname === 'net1'))

  const prometheus = await watching(t, cluster)
  const pending = async () => (await prometheus.alerts()).filter(({labels}) => !OF_LOAD.includes(labels.alertname!))
  const say = async () => JSON.stringify([await prometheus.targets(), await prometheus.alerts()])
  const until = async (condition: () => Promise<unknown>, what: string) => {
    let detail = ''
    const look = async () => {
      if (await condition()) return true
      detail = await say()
      return false
    }
    await cluster.until(look, () => `${what}: ${detail}`)
  }

  await until(async () => (await prometheus.query('up == 1')).length === 2, 'both agents are scraped')
  t.deepEqual((await prometheus.targets()).map(({labels}) => `${labels.job} ${labels.node}`).sort(), [
    'netgraft a',
    'netgraft b',
  ])
  // Something happens while it looks, so that rates are there.
  await cluster.stop(z)
  await cluster.told(x, 'up in1 vxlan', 'waiting in2 peer')
  await cluster.start('a', 'z')
  await cluster.told(x, 'up in1 vxlan', 'up in2 veth')
  await until(async () => (await pending()).length === 0, 'no alert stands')

  const evaluated = async () => (await prometheus.rules()).map(({lastEvaluation}) => Date.parse(lastEvaluation))
  const since = Math.max(...(await evaluated()))
  await until(async () => (await prometheus.query('count_over_time(up[5m]) >= 4')).length === 2, 'rates are there')
  await until(async () => (await evaluated()).every(at => at > since), 'every rule is evaluated again')
  t.deepEqual(await pending(), [])
  for (const {name, health, lastError = ''} of await prometheus.rules())
    t.deepEqual([health, lastError], ['ok', ''], name)
  t.is((await prometheus.rules()).length, RULES.length)

  const empty: string[] = []
  for (const {title, expr} of queries) {
    const now = expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(node|network)/g, '.*')
    if ((await prometheus.query(now)).length === 0 && !OF_TROUBLE.test(title)) empty.push(`${title}: ${now}`)
  }
  t.deepEqual(empty, [], 'queries that yield nothing')
  for (const {name, definition} of dashboard.templating.list)
    if (definition !== undefined) {
      const [, metric] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? []
      t.true((await prometheus.query(`count by (${name}) (${metric})`)).length > 0, definition)
    }

  const stands = (alert: string, node: string) =>
    until(async () => (await pending()).some(({labels}) => labels.alertname === alert && labels.node === node), alert)
  await cluster.at('b').node.agent.kill()
  await stands('NetgraftDown', 'b')
  a.node.put('c 10.64.2.0/24 via 192.168.0.3')
  await stands('NetgraftConflicts', 'a')
})

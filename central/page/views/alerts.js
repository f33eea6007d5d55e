// Alerts: what is open, worst first; below it what was resolved. Each open one can be silenced, with a reason.
import { by_id, put_text } from '../dom.js';
import { age, clock_text, event_time_text, plural, short } from '../format.js';
import { alert_level } from '../levels.js';
import { Table } from '../table.js';

const silence_ms = 3_600_000;
const rank = { critical: 3, warning: 2, info: 1 };
const weight = (alert) => (alert.state === 'open' ? 10 : 0) + (alert.is_silenced ? 0 : 5) + (rank[alert.severity] ?? 0);

export class AlertsView {
  needs = ['alerts', 'silences'];
  has_ages = true;
  constructor(acts) {
    this.table = new Table(by_id('alerts-body'), {
      label: 'Alerts',
      empty: 'Nothing fires, and nothing did.',
      row_level: (alert) => (alert.is_silenced ? null : { act: 'act' }[alert_level(alert)] ?? null),
      columns: [
        { name: 'State', text: (alert) => word(alert), level: (alert) => alert_level(alert) },
        { name: 'Alert', text: (alert) => `${alert.name}${alert.key ? `: ${alert.key}` : ''}${alert.count > 1 ? ` (${short(alert.count)} times)` : ''}`, is_wide: true },
        { name: 'Age', text: (alert, now) => age(alert.arrival_ms, now).replace(' ago', ''), is_number: true, full: (alert) => `event time ${event_time_text(alert.time_ms)}, arrived ${clock_text(alert.arrival_ms)}` },
      ],
      act: {
        text: (alert) => (alert.is_silenced ? 'End silence' : 'Silence'),
        is_open: (alert) => alert.state === 'open' || alert.is_silenced,
        run: (alert) => (alert.is_silenced ? this.#end(acts, alert) : acts.open({
          title: 'Silence this alert',
          what: `${alert.name} for ${alert.key || 'every key'}: nobody is told of it for an hour. It stays visible here.`,
          path: '/api/v1/alerts/silences',
          query: () => ({ name: alert.name, ...(alert.key ? { key: alert.key } : {}), until: new Date(this.now_ms + silence_ms).toISOString() }),
          done: () => 'Silenced for an hour.',
        })),
      },
    });
  }

  #end(acts, alert) {
    const silence = this.state.rows('silences').find((one) => one.name === alert.name && (one.key === null || one.key === alert.key));
    if (!silence) return;
    acts.open({
      title: 'End this silence', what: `${silence.name} for ${silence.key ?? 'every key'}: silenced by ${silence.who || 'somebody'}: ${silence.reason}`,
      path: `/api/v1/alerts/silences/${encodeURIComponent(silence.id)}/end`, query: () => null, done: () => 'Ended.',
    });
  }

  render(state, now_ms) {
    this.now_ms = now_ms;
    this.state = state;
    const rows = state.rows('alerts').sort((a, b) => weight(b) - weight(a) || b.serial - a.serial);
    const open = rows.filter((alert) => alert.state === 'open');
    const silenced = open.filter((alert) => alert.is_silenced).length;
    put_text(by_id('alerts-note'), open.length > 0 ? `${plural(open.length, 'open', 'open')}${silenced ? `, ${silenced} silenced` : ''}` : 'none open');
    this.table.show(rows, now_ms);
  }
}

const word = (alert) => {
  if (alert.state !== 'open') return 'resolved';
  return alert.is_silenced ? 'silenced' : alert.severity;
};

// History: the last samples of some numbers, in arrays that never grow. Times in s since 1970, oldest first.
export class History {
  constructor(names, samples_max) {
    this.names = names;
    this.samples_max = samples_max;
    this.columns = [[], ...names.map(() => [])];
  }
  add(time_s, values) {
    const [times] = this.columns;
    if (times.length > 0 && time_s <= times[times.length - 1]) return;
    times.push(time_s);
    this.names.forEach((name, at) => this.columns[at + 1].push(values ? values[name] ?? null : null));
    if (times.length > this.samples_max) for (const column of this.columns) column.shift();
  }
  last(name) {
    const column = this.columns[this.names.indexOf(name) + 1];
    return column[column.length - 1] ?? null;
  }
}

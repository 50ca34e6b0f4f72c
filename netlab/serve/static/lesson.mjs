// A scenario as a lesson: the question, the votes, and then the truth.

import {button, find, make} from "./dom.mjs";

export class Lesson {
  constructor(send, role) {
    this.send = send;
    this.role = role;
    this.mine = null;
  }

  show(lesson) {
    if (!lesson) return;
    const place = `${lesson.place}`;
    if (this.place !== place || lesson.phase === "story") this.mine = null;
    this.place = place;
    const parts = [];
    if (lesson.phase === "story") parts.push(make("p", {}, `${lesson.of} steps. Read the story, then begin.`));
    else if (lesson.phase === "over") parts.push(make("p", {}, "That was the last step."));
    else parts.push(...this.#step(lesson));
    if (this.role === "teacher" && lesson.phase !== "over") {
      const words = {story: "Begin", question: "Show", doing: "…", answer: "Next"}[lesson.phase];
      parts.push(button(words, () => this.send({type: "go-on"}),
        {id: "go-on", class: "main", disabled: lesson.phase === "doing"}));
    }
    if (lesson.phase !== "story") find("#story").open = false;
    find("#lesson-step").replaceChildren(...parts);
  }

  #step(lesson) {
    const parts = [make("p", {class: "muted"}, `step ${lesson.place + 1} of ${lesson.of}`),
      make("h3", {}, lesson.name)];
    if (lesson.explain) parts.push(make("p", {}, lesson.explain));
    for (const command of lesson.commands) {
      parts.push(make("pre", {class: "command"}, command.startsWith("#") ? command : `$ ${command}`));
    }
    if (lesson.question) parts.push(make("p", {class: "question"}, lesson.question), this.#choices(lesson));
    if (lesson.phase === "doing") parts.push(make("p", {role: "status"}, "It is being done …"));
    if (lesson.answer) parts.push(...this.#answer(lesson.answer));
    return parts;
  }

  #choices(lesson) {
    const all = Math.max(1, lesson.voters);
    return make("div", {class: "choices"}, ...lesson.choices.map(({text, votes}) => {
      const right = lesson.answer && lesson.answer.right === text;
      const bar = make("meter", {min: 0, max: all, value: votes, "aria-hidden": "true"});
      return make("div", {class: right ? "choice right" : "choice"},
        button(`${right ? "✓ " : ""}${text}`, () => {
          this.mine = text;
          this.send({type: "vote", choice: text});
        }, {disabled: lesson.phase !== "question", "aria-pressed": String(this.mine === text)}),
        bar, make("span", {}, `${votes} of ${lesson.voters}`));
    }));
  }

  #answer(answer) {
    const parts = [make("h3", {}, "What happened")];
    if (answer.sentences.length) {
      parts.push(make("ul", {}, ...answer.sentences.slice(0, 12).map(words => make("li", {}, words))));
    }
    if (answer.output.trim()) parts.push(make("pre", {class: "output"}, answer.output.trimEnd()));
    parts.push(make("ul", {class: "verdicts"}, ...answer.verdicts.map(([text, passed, seen]) =>
      make("li", {class: passed ? "good" : "bad"}, `${passed ? "✓" : "✗"} ${text}`,
        ...passed ? [] : [make("pre", {}, seen)]))));
    return parts;
  }
}

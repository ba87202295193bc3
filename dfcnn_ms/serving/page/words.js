// Every word on the page, in English and in Chinese.

const KEPT = "dfcnn_ms.language";

const WORDS = {
  en: {
    title: "Speak Mandarin, see every syllable",
    about: "Drop a recording or speak. Each syllable stands under its moment in the sound; the stronger its colour, the surer.",
    stays_here: "The network runs inside this browser: no sound leaves this device.",
    goes_to_server: "The sound goes to this server and nowhere else.",
    other_language: "中文",
    speak: "Speak", stop: "Stop", choose: "Choose a file", drop: "or drop one anywhere on this page",
    let_go: "Let go to listen",
    model: "Model", key: "Key",
    starting: "Opening the microphone …",
    say_something: "Say something …",
    listening: "Listening to {name} …",
    recording: "Recording {n}",
    done: "{name}: {found}",
    nothing: "No syllable was heard.",
    no_picture: "This browser cannot play this kind of file, so there is no picture of it.",
    seconds: "{n} s", syllables_one: "{n} syllable", syllables: "{n} syllables", sure: "{n} % sure on the average",
    play: "Play", pause: "Stop",
    syllables_of: "Syllables of {name}",
    one_syllable: "{text}, {start} to {end} seconds, {n} percent sure",
    from_to: "{start} – {end} s",
    unsure_end: "unsure", sure_end: "sure",
    keys: "Click a syllable to hear it. ← → move, space plays.",
    instead: "or",
    others: "Other readings", other_text: "Reading", other_share: "Share",
    others_server: "How likely each is among all that are listed, the one above included.",
    others_local: "The likeliest with one syllable exchanged, and how likely each is among them and the one above.",
    spelt_otherwise: "The characters spell one of the other readings.",
    download: "Download", txt: "Text", srt: "Subtitles", json: "JSON", close: "Close",
    licence: "Licence of the model: {name}",
    empty_file: "There is no sound in this file; choose another one.",
    cannot_read: "This is not a sound file that this browser can read; wav, mp3, flac and ogg will do.",
    microphone_insecure: "Browsers open the microphone only over https or on localhost; a file can be chosen anywhere.",
    microphone_refused: "The microphone is not allowed; allow it beside the address of this page and press Speak again.",
    microphone_missing: "There is no microphone; plug one in, or choose a file.",
    microphone_failed: "The microphone cannot be opened; does another program use it?",
    too_short: "That was too short; hold on for half a second at least.",
    no_server: "The server does not answer; is it still running?",
    no_stream: "The text cannot be shown while you speak; it comes when you stop.",
    server_says: "The server could not do it.",
    key_wanted: "This server wants a key; enter it above and try again.",
    too_long: "The server does not take so much sound at once; cut it into parts.",
    bad_sound: "The server cannot use this sound.",
    busy: "The server has too much to do; try again in a few seconds.",
    no_engine: "The network cannot be started in this browser; is the folder complete, and the browser of 2023 or later?",
    diverged: "The network answers with numbers that are none; export it anew from an earlier checkpoint.",
    unexpected: "Something went wrong.",
  },
  zh: {
    title: "说普通话，看见每个音节",
    about: "拖入录音，或者直接说话。每个音节都标在它发声的位置上，颜色越浓，把握越大。",
    stays_here: "识别在这个浏览器里完成，声音不会离开这台设备。",
    goes_to_server: "声音只发送到这台服务器。",
    other_language: "English",
    speak: "说话", stop: "停止", choose: "选择文件", drop: "也可以把文件拖到页面任意位置",
    let_go: "松开即可识别",
    model: "模型", key: "密钥",
    starting: "正在打开麦克风……",
    say_something: "请说话……",
    listening: "正在识别 {name}……",
    recording: "录音 {n}",
    done: "{name}：{found}",
    nothing: "没有听到音节。",
    no_picture: "这个浏览器不能播放这种文件，所以没有图像。",
    seconds: "{n} 秒", syllables_one: "{n} 个音节", syllables: "{n} 个音节", sure: "平均把握 {n}%",
    play: "播放", pause: "停止",
    syllables_of: "{name} 的音节",
    one_syllable: "{text}，{start} 到 {end} 秒，把握百分之 {n}",
    from_to: "{start} – {end} 秒",
    unsure_end: "没把握", sure_end: "有把握",
    keys: "点击音节即可试听。← → 移动，空格播放。",
    instead: "或者",
    others: "其他可能", other_text: "内容", other_share: "份额",
    others_server: "在列出的结果（包括上面的）中各占多少可能性。",
    others_local: "换掉一个音节后最有可能的几种，以及在它们和上面的结果中各占多少可能性。",
    spelt_otherwise: "汉字对应的是另一种可能。",
    download: "下载", txt: "文本", srt: "字幕", json: "JSON", close: "关闭",
    licence: "模型许可证：{name}",
    empty_file: "这个文件里没有声音，请换一个。",
    cannot_read: "浏览器读不了这个文件；可以用 wav、mp3、flac 或 ogg。",
    microphone_insecure: "只有 https 或 localhost 页面才能使用麦克风；选择文件则不受限制。",
    microphone_refused: "麦克风未获许可；请在地址栏旁允许，然后再按“说话”。",
    microphone_missing: "没有麦克风；请接上一个，或者选择文件。",
    microphone_failed: "麦克风打不开；是否有别的程序正在使用它？",
    too_short: "录音太短，请至少录半秒钟。",
    no_server: "服务器没有回应；它还在运行吗？",
    no_stream: "无法边说边显示文字；停止之后会给出结果。",
    server_says: "服务器没能完成。",
    key_wanted: "这台服务器需要密钥；请在上方输入后重试。",
    too_long: "一次发送的声音太长，请分成几段。",
    bad_sound: "服务器无法使用这段声音。",
    busy: "服务器太忙，请过几秒再试。",
    no_engine: "网络无法在这个浏览器里运行；文件夹是否完整，浏览器是否是 2023 年以后的版本？",
    diverged: "网络给出的不是数字；请用更早的检查点重新导出。",
    unexpected: "出错了。",
  },
};

let language = chosen();

function chosen() {
  const kept = globalThis.localStorage?.getItem(KEPT);
  const wanted = [kept, ...(globalThis.navigator?.languages ?? [])].filter(Boolean);
  return wanted.map(one => one.slice(0, 2)).find(one => one in WORDS) ?? "en";
}

/** A sentence in the language of the page; `{name}` in it is replaced by `values.name`. */
export function say(key, values = {}) {
  const sentence = WORDS[language][key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** So many syllables, in words. */
export const many = count => say(count === 1 ? "syllables_one" : "syllables", { n: count });

/** The other of the two languages from now on, on every page of this server. */
export function exchange() {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem(KEPT, language);
}

/** Writes the words of an element and of all inside it: `data-text` is what it says, `data-label` what is read out. */
export function translate(root) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const one of root.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text, one.dataset);
  for (const one of root.querySelectorAll("[data-label]")) one.ariaLabel = say(one.dataset.label, one.dataset);
}

/** For the test that compares the two. */
export const ALL = WORDS;

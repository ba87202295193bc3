for (const sentence of document.querySelectorAll("article")) {
  const audio = sentence.querySelector("audio"), sound = sentence.querySelector(".sound");
  if (!audio || !sound) continue;
  const cursor = sound.querySelector(".cursor"), picture = sound.querySelector("img");
  const follow = () => {
    cursor.style.opacity = 0.9;
    cursor.style.left = 100 * audio.currentTime / audio.duration + "%";
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", follow);
  audio.addEventListener("seeked", follow);
  picture.style.cursor = "pointer";
  picture.addEventListener("click", event => {
    if (audio.duration) audio.currentTime = audio.duration * event.offsetX / picture.clientWidth;
    audio.play();
  });
}

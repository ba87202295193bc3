"""What people say every day, without a download: phrases with open places, and words in a plausible order.

Two sources, both of what is installed anyway. *Phrases* are written here, with places for names, towns, numbers, dates,
times, prices, things and doings; there are some millions of each. *Chains* are words of jieba's dictionary by their
frequency, in an order that follows how often one kind of word comes after another: those probabilities come with jieba,
whose tagger learned them from a newspaper. Chains say little, but 的, 了, 不 and 在 stand where they do in sentences.

    phrase(rng)                            # 王老师下个星期三要去南京开会
    Chains(draws).around(word, 10, rng)    # words of ten syllables, one of them given
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from math import exp
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from dfcnn_ms.errors import DeviceError

FIGURES = "零一二三四五六七八九"
_PLACE = re.compile(r"\{(\w+)\}")
_TENS = ("", "十", "百", "千")
_MYRIADS = ("", "万", "亿")
#: places inside the words of places
_DEEPEST = 6


def numeral(number: int) -> str:
    """A whole number below 10^12 as it is said; 10 to 19 are 十 to 十九, and two thousands are 两千.

    >>> [numeral(number) for number in (0, 10, 105, 2013, 20_000)]
    ['零', '十', '一百零五', '两千零一十三', '两万']
    """
    if number == 0:
        return FIGURES[0]
    groups = [number // 10_000**place % 10_000 for place in range(len(_MYRIADS))]
    said = ""
    for place in reversed(range(len(groups))):
        group = groups[place]
        if not group:
            continue
        gap = said and (group < 1000 or not groups[place + 1])
        said += (FIGURES[0] if gap else "") + _below_myriad(group, bool(place)) + _MYRIADS[place]
    return said[1:] if said.startswith("一十") else said


def _below_myriad(number: int, counts_myriads: bool) -> str:
    """1 to 9999; 2 is 两 before thousands and myriads."""
    if number == 2 and counts_myriads:
        return "两"
    said, gap = "", False
    for place in reversed(range(4)):
        figure = number // 10**place % 10
        if not figure:
            gap = bool(said)
            continue
        said += (FIGURES[0] if gap else "") + ("两" if figure == 2 and place == 3 else FIGURES[figure]) + _TENS[place]
        gap = False
    return said


def one_by_one(figures: str, one: str = "一") -> str:
    """Figures as they are read one by one: years with 一, telephones with 幺.

    >>> one_by_one("1908", one="幺")
    '幺九零八'
    """
    return "".join(one if figure == "1" else FIGURES[int(figure)] for figure in figures)


def counted(number: int) -> str:
    """A number before a measure word: 两 for two."""
    return "两" if number == 2 else numeral(number)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SURNAMES = _words(
    "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢 韩 唐 冯 于 董 萧 程 曹 袁 邓 许 傅 沈 "
    "曾 彭 吕 苏 卢 蒋 蔡 贾 丁 魏 薛 叶 阎 余 潘 杜 戴 夏 钟 汪 田 任 姜 范 方 石 姚 谭 廖 邹 熊 金 陆 郝 孔 白 崔 "
    "康 毛 邱 秦 江 史 顾 侯 邵 孟 龙 万 段 雷 钱 汤 尹 黎 易 常 武 乔 贺 赖 龚 文 欧阳 司马 上官 诸葛"
)
_GIVEN = _words(
    "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀 霞 平 刚 桂 英 华 玉 兰 红 建 国 文 志 海 波 宇 浩 子 轩 "
    "欣 怡 雨 婷 佳 琪 思 梦 雪 晨 晓 东 春 梅 鹏 飞 翔 博 俊 凯 嘉 诗 涵 若 萱 天 佑 家 豪 美 琳 慧 颖 丹 阳 鑫 淼 "
    "瑞 祥 福 贵 荣 昌 盛 德 仁 义 礼 信 康 宁 安 乐 清 莹 露 爽 倩 薇 蕾 虹 岩 峰 林 森 青 云 星 辰 月 松 柏 竹 立 "
    "成 振 兴 学 永 小 大 一 可 心"
)
_TOWNS = _words(
    "北京 上海 广州 深圳 天津 重庆 成都 杭州 南京 武汉 西安 苏州 郑州 长沙 沈阳 青岛 宁波 东莞 无锡 厦门 福州 济南 "
    "大连 合肥 昆明 哈尔滨 长春 石家庄 南昌 贵阳 南宁 太原 兰州 海口 三亚 乌鲁木齐 拉萨 西宁 银川 呼和浩特 香港 澳门 "
    "台北 桂林 洛阳 开封 扬州 绍兴 温州 泉州 珠海 烟台 威海 徐州 常州 丽江 大理 敦煌 吐鲁番 黄山 泰安 曲阜 包头 唐山 "
    "保定 秦皇岛 张家界 景德镇 遵义 绵阳"
)
_COUNTRIES = _words(
    "中国 美国 英国 法国 德国 日本 韩国 俄罗斯 意大利 西班牙 加拿大 澳大利亚 新西兰 印度 泰国 越南 新加坡 马来西亚 "
    "巴西 埃及 南非 瑞士 瑞典 挪威 荷兰 希腊 土耳其 墨西哥 阿根廷"
)
_PLACES = _words(
    "医院 学校 公园 超市 银行 邮局 车站 机场 火车站 地铁站 图书馆 电影院 饭店 宾馆 公司 办公室 教室 宿舍 厨房 菜市场 "
    "药店 书店 体育馆 博物馆 动物园 派出所 停车场 加油站 咖啡馆 理发店 幼儿园 楼下 门口 对面 隔壁 河边 海边 山上 "
    "乡下 工厂 法院 健身房 洗衣店 花店"
)
_PEOPLE = _words(
    "我 你 他 她 我们 你们 他们 咱们 大家 我妈妈 我爸爸 爷爷 奶奶 外婆 姐姐 哥哥 弟弟 妹妹 孩子 儿子 女儿 老师 同学 "
    "朋友 邻居 同事 经理 医生 护士 司机 老板 服务员 警察 师傅 叔叔 阿姨 {人名} {人名} {称呼} {称呼} 小{姓} 老{姓}"
)
_TITLES = _words("老师 先生 女士 医生 经理 教授 主任 师傅 同学 律师 阿姨 叔叔 警官 总")
_FOODS = _words(
    "米饭 面条 饺子 包子 馒头 豆腐 青菜 白菜 萝卜 土豆 西红柿 黄瓜 茄子 牛肉 羊肉 猪肉 鸡肉 鱼 虾 螃蟹 鸡蛋 牛奶 "
    "豆浆 油条 粥 火锅 烤鸭 糖醋排骨 宫保鸡丁 麻婆豆腐 酸辣汤 炒饭 月饼 汤圆 粽子 苹果 香蕉 葡萄 西瓜 草莓 橘子 桃子 "
    "樱桃 巧克力 冰淇淋 蛋糕 面包 饼干"
)
_DRINKS = _words("茶 咖啡 啤酒 红酒 果汁 可乐 矿泉水 绿茶 红茶 牛奶 热水 白酒 豆浆")
_THINGS = _words(
    "手机 电脑 书包 钥匙 雨伞 眼镜 钱包 衣服 裙子 裤子 鞋子 袜子 帽子 手表 照相机 自行车 洗衣机 冰箱 空调 电视 沙发 "
    "桌子 椅子 床 枕头 毛巾 牙刷 肥皂 镜子 剪刀 铅笔 本子 字典 地图 报纸 杂志 小说 票 护照 身份证 信用卡 行李 礼物 "
    "玩具 吉他 钢琴 花 药 电池 充电器"
)
_MEASURED = _words(
    "本书 本词典 张票 张纸 张桌子 把椅子 把伞 把刀 件衣服 件事 条裤子 条鱼 条河 条路 只猫 只狗 只鸟 头牛 匹马 棵树 "
    "朵花 辆车 架飞机 艘船 座山 座桥 栋楼 间房 家饭店 杯水 杯茶 瓶酒 碗饭 碗面 盘菜 块蛋糕 片面包 斤苹果 公斤大米 "
    "双鞋 副眼镜 台电脑 部电影 首歌 封信 幅画 支笔 个人 个孩子 个朋友 个问题 个办法 位客人 位老师 名学生 句话 篇文章 "
    "顿饭 场雨 场比赛 节课 份报告 颗牙 粒药 滴水 根绳子 顶帽子 套房子 群羊 束花 盒饭 包烟 袋米 箱牛奶 排树 层楼 口井 "
    "扇门 面墙 盏灯 股风 阵雨 团火 堆石头"
)
_DOINGS = _words(
    "上班 下班 上课 下课 睡觉 起床 吃饭 做饭 洗澡 跑步 游泳 爬山 钓鱼 唱歌 跳舞 画画 写作业 看书 看电视 看电影 "
    "听音乐 打电话 打篮球 踢足球 打太极拳 下棋 买菜 逛街 散步 开会 出差 旅行 搬家 结婚 考试 面试 看病 打针 吃药 理发 "
    "洗衣服 扫地 修车 加班 请假 休息 聊天 上网 拍照 寄包裹 取钱 换钱 排队 过生日 坐飞机 骑自行车 练习普通话 学中文 "
    "学英语 写论文 浇花 遛狗 喂猫 收拾房间"
)
_WEATHER = _words("下雨 下雪 刮风 打雷 很热 很冷 很暖和 很凉快 有雾 晴 阴 多云 下冰雹 降温 闷热 潮湿 干燥")
_QUALITIES = _words(
    "好 大 小 贵 便宜 漂亮 干净 脏 快 慢 难 容易 重要 有意思 无聊 舒服 累 忙 高兴 难过 聪明 可爱 热闹 安静 新鲜 好吃 "
    "难吃 甜 酸 苦 辣 咸 远 近 厚 薄 深 浅 硬 软 旧 新 奇怪 危险 安全 方便 麻烦 复杂 简单 清楚 模糊 严重 热情 客气 "
    "骄傲 勇敢 懒 勤快 幽默"
)
_DEGREES = _words("很 非常 特别 真 太 有点儿 比较 最 更 不太 挺 相当 十分 不 越来越")
_VEHICLES = _words("火车 飞机 汽车 出租车 地铁 公共汽车 船 高铁 自行车 摩托车")
_COLOURS = _words("红 黄 蓝 绿 白 黑 灰 紫 粉 橙 棕 深蓝 浅绿")
_SUBJECTS = _words("数学 语文 英语 物理 化学 历史 地理 生物 音乐 美术 体育 哲学 经济 法律 医学 计算机 中文 书法")
_WHEN = _words(
    "今天 明天 昨天 后天 前天 刚才 现在 以后 以前 最近 早上 上午 中午 下午 晚上 夜里 周末 去年 今年 明年 这个月 "
    "下个月 上个星期 小时候 春天 夏天 秋天 冬天 {几号} {星期} {星期} {下午几点} {下午几点} {日期}"
)

PHRASES = _words(
    "{谁}{何时}要去{哪里} {谁}{何时}去{城}{事} {何时}{天气} {城}{何时}{天气} {谁}在{处}{事} {谁}正在{处}{事}呢 "
    "{谁}{何时}在哪儿{事} 现在几点了 现在{几点} 今天{几号} 今天是{日期}{星期} {谁}的生日是{几月几号} "
    "{谁}今年{岁}岁了 {谁}出生于{年}年 {谁}是{年}年{月}月来{城}的 这{量词物}多少钱 这个{物}{钱} 一共{钱} 找您{钱} "
    "{吃}{钱}一斤 太贵了{钱}行不行 我要{几量} 请给我{几量} 他买了{几量} 桌子上有{几量} 我家有{几量} 门前有{几量} "
    "{谁}送给{谁}{几量} {谁}丢了{几量} 还剩{几量} 我的电话是{电话} 请拨打{电话} 房间号是{房号} 我住在{房号}房间 "
    "{谁}坐{车}去{哪里} 从{城}到{城}坐{车}要{时长} {车}{几点}出发 飞机{下午几点}起飞 {车}晚点了{分}分钟 "
    "请在{几点}以前到{处} 会议{下午几点}开始 我们{星期}{下午几点}见 {谁}等了{时长} {谁}学{科}学了{时长} "
    "{谁}已经{事}了 {谁}还没{事} {谁}想{事} {谁}不想{事} {谁}喜欢{事} {谁}不喜欢{吃} {谁}爱吃{吃} 我想喝{喝} "
    "来一份{吃}和一杯{喝} {吃}{程度}{样} 这个{物}{程度}{样} 那儿的{吃}{程度}{样} {城}{程度}{样} {谁}{程度}{样} "
    "{谁}觉得{科}{程度}{样} {谁}的{物}在哪儿 {谁}的{物}找不到了 {谁}把{物}放在{处}了 {谁}把{物}忘在{处}了 "
    "谁把我的{物}拿走了 {谁}的{物}被偷了 请把{物}给我 请把{物}放在桌子上 请帮我拿一下{物} 你看见我的{物}了吗 "
    "这是谁的{物} 那不是我的{物} {色}色的{物}{程度}{样} 我喜欢{色}色的{物} 你叫什么名字 我叫{人名} 我姓{姓} "
    "请问您贵姓 他是{称呼}的{亲} 这位是{称呼} {称呼}您好 {称呼}再见 {人名}是我的好朋友 {人名}和{人名}是同学 你好 "
    "谢谢 不客气 对不起 没关系 再见 早上好 晚安 慢走 欢迎光临 好久不见 恭喜恭喜 生日快乐 新年快乐 一路平安 身体健康 "
    "请进 请坐 请稍等 别着急 没问题 我不知道 我听不懂 请再说一遍 请说慢一点儿 真的吗 怎么办 为什么 什么意思 不可能 "
    "当然可以 差不多 马上就来 等一等 你吃饭了吗 你会{事}吗 你能{事}吗 你想不想{事} 你要不要{喝} 要{喝}还是要{喝} "
    "有没有{色}色的 有没有{吃} 哪里可以{事} 怎么去{处} {处}怎么走 {处}在{处}旁边 {处}离这儿{程度}{样} 往前走{数}米 "
    "一直走到{处}再往左拐 第{小数}个路口右转 在{处}下车 到{处}还有{站}站 温度是{度}度 今天最高气温{度}度 零下{度}度 "
    "增长了百分之{百分} 百分之{百分}的人喜欢{事} 打{折}折 {数}加{数}等于多少 {小数}乘以{小数} {数}减{小数} "
    "人口有{大数} 身高一米{百分} 体重{百分}公斤 全长{大数}米 得了{百分}分 考了第{小数}名 第{小数}页第{小数}行 "
    "第{小数}课 {谁}每天{几点}起床 {谁}晚上{几点}才睡觉 {谁}{程度}{样}所以没去{事} 因为{天气}所以我们没有{事} "
    "虽然{程度}{样}但是{谁}还是去{事}了 如果明天{天气}我就不去{事}了 一边{事}一边{事} 先{事}再{事} "
    "除了{事}以外{谁}还喜欢{事} 不但会{事}而且会{事} 只要{事}就{程度}{样} {谁}比{谁}{样} {谁}没有{谁}{样} "
    "{谁}跟{谁}一样{样} {谁}请{谁}{事} {谁}让{谁}{事} {谁}告诉{谁}{何时}要{事} {谁}问{谁}会不会{事} 听说{谁}要去{国} "
    "{谁}是从{国}来的 {谁}去过{国}也去过{国} {国}离{国}{程度}{样} {谁}在{国}住了{时长} 我买了去{城}的{车}票 打开{物} "
    "关上{物} 打开灯 关灯 声音大一点儿 声音小一点儿 播放音乐 下一首 上一首 停止播放 暂停 设一个{几点}的闹钟 "
    "{分}分钟以后叫我 提醒我{何时}{事} 导航到{处} 给{人名}打电话 给{谁}发短信 {城}的天气怎么样 查一下{城}的天气 "
    "今天有什么新闻 讲一个笑话 头疼得厉害 我发烧了 肚子疼 嗓子疼 感冒了要多喝热水 一天吃{小数}次药 每次吃{小数}片 "
    "挂{姓}医生的号 手术{程度}{样} {谁}正在学习{科} {科}考试在{星期} 作业写完了吗 {谁}考上大学了 {谁}找到工作了 "
    "{谁}下个月结婚 {谁}搬到{城}去了 {谁}开了一家饭店 密码是{密码} 验证码是{密码} 订单号是{密码} 快递到了 "
    "快递放在{处} 航班号{密码} 车牌号尾号是{尾号} {小数}个人吃饭 我订了{小数}个人的位子"
)


_FIXED, _OPEN = (tuple(one for one in PHRASES if ("{" in one) == is_open) for is_open in (False, True))
#: of phrases without places, which are the same every time
FIXED_SHARE = 0.1


class Word(Protocol):
    """A word of a dictionary."""

    @property
    def pinyin(self) -> tuple[str, ...]:
        """Its syllables."""

    @property
    def tag(self) -> str:
        """What kind of word it is, as jieba calls it: `n`, `v`, `uj` ..."""


W = TypeVar("W", bound=Word)

#: words whose last syllable nearly everybody says without its tone, whatever tone a dictionary gives it
NEUTRAL = frozenset(
    _words(
        "妈妈 爸爸 爷爷 奶奶 哥哥 姐姐 弟弟 妹妹 叔叔 姑姑 舅舅 婶婶 嫂嫂 太太 谢谢 宝宝 娃娃 猩猩 星星 东西 意思 朋友 "
        "先生 学生 早上 晚上 时候 地方 明白 漂亮 便宜 舒服 麻烦 衣服 眼睛 耳朵 豆腐 萝卜 知道 认识 告诉 喜欢 休息 清楚 "
        "客气 暖和 凉快 热闹 消息 大夫 护士 师傅 丈夫 月亮 头发 嘴巴 钥匙 窗户 玻璃 葡萄 石头 木头 馒头 枕头 骨头 舌头 "
        "点心 事情 关系 打算 收拾 商量 招呼 打听 力气 名字 故事 生意 行李 亲戚 邻居 媳妇 姑娘 老婆 老爷 棉花 高粱 粮食 "
        "庄稼 牲口 苍蝇 蛤蟆 狐狸 骆驼 刺猬 脾气 脑袋 胳膊 屁股 聪明 糊涂 老实 厉害 结实 规矩 云彩 扫帚 笤帚 算盘 灯笼 "
        "风筝 篱笆 招牌 口袋"
    )
)


def phrase(rng: np.random.Generator) -> str:
    """Something that somebody may say, in characters without punctuation."""
    fixed = rng.random() < FIXED_SHARE
    return _filled(_one_of(_FIXED if fixed else _OPEN, rng), rng)


def _filled(text: str, rng: np.random.Generator) -> str:
    """The same with something in each of its places, and in the places of that."""
    for _ in range(_DEEPEST):
        if "{" not in text:
            break
        text = _PLACE.sub(lambda place: _fillings()[place[1]](rng), text)
    return text


def _one_of(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


Filling = Callable[[np.random.Generator], str]


def _from(choices: Sequence[str]) -> Filling:
    return lambda rng: _one_of(choices, rng)


def _number(low: int, high: int, said: Callable[[int], str] = numeral) -> Filling:
    return lambda rng: said(int(rng.integers(low, high, endpoint=True)))


def _figures(least: int, most: int, one: str = "一") -> Filling:
    def filling(rng: np.random.Generator) -> str:
        length = int(rng.integers(least, most, endpoint=True))
        return one_by_one("".join(map(str, rng.integers(10, size=length))), one)

    return filling


def _clock(rng: np.random.Generator) -> str:
    """12 hours, with 半, 一刻 or minutes."""
    hour, minute = int(rng.integers(1, 12, endpoint=True)), int(rng.integers(1, 60))
    ends = ("", "", "半", "一刻", "三刻", f"{'零' if minute < 10 else ''}{numeral(minute)}分")
    return f"{counted(hour)}点{_one_of(ends, rng)}"


def _large(rng: np.random.Generator) -> str:
    """Numbers of any size, small ones as often as large ones."""
    return numeral(int(10 ** rng.uniform(2, 9)))


def _price(rng: np.random.Generator) -> str:
    whole = counted(int(10 ** rng.uniform(0, 3.5)))
    ends = ("块", "块钱", "元", f"块{FIGURES[int(rng.integers(1, 10))]}", "块五", "元整")
    return whole + _one_of(ends, rng)


@lru_cache(maxsize=1)
def _fillings() -> Mapping[str, Filling]:
    small = _number(1, 10, counted)
    month, day = _number(1, 12), _number(1, 31)
    year: Filling = lambda rng: one_by_one(str(int(rng.integers(1920, 2040))))  # noqa: E731
    return {
        "谁": _from(_PEOPLE),
        "姓": _from(_SURNAMES),
        "人名": lambda rng: (
            _one_of(_SURNAMES, rng) + "".join(_one_of(_GIVEN, rng) for _ in range(int(rng.integers(1, 3))))
        ),
        "称呼": lambda rng: _one_of(_SURNAMES, rng) + _one_of(_TITLES, rng),
        "亲": _from(_words("儿子 女儿 学生 邻居 同事 朋友 弟弟 妹妹 哥哥 姐姐 丈夫 妻子")),
        "城": _from(_TOWNS),
        "国": _from(_COUNTRIES),
        "处": _from(_PLACES),
        "哪里": _from((*_PLACES, *_TOWNS, *_COUNTRIES)),
        "吃": _from(_FOODS),
        "喝": _from(_DRINKS),
        "物": _from(_THINGS),
        "量词物": _from(_MEASURED),
        "几量": lambda rng: small(rng) + _one_of(_MEASURED, rng),
        "事": _from(_DOINGS),
        "天气": _from(_WEATHER),
        "样": _from(_QUALITIES),
        "程度": _from(_DEGREES),
        "车": _from(_VEHICLES),
        "色": _from(_COLOURS),
        "科": _from(_SUBJECTS),
        "何时": _from(_WHEN),
        "几点": _clock,
        "下午几点": lambda rng: _one_of(_words("早上 上午 下午 晚上 中午"), rng) + _clock(rng),
        "年": year,
        "月": month,
        "几号": lambda rng: day(rng) + _one_of(("号", "日"), rng),
        "几月几号": lambda rng: f"{month(rng)}月{day(rng)}" + _one_of(("号", "日"), rng),
        "日期": lambda rng: f"{year(rng)}年{month(rng)}月{day(rng)}日",
        "星期": lambda rng: (
            _one_of(_words("星期 下星期 这个星期 周 下周 礼拜"), rng) + _one_of(tuple("一二三四五六"), rng)
        ),
        "岁": _number(1, 99, counted),
        "钱": _price,
        "电话": _figures(7, 11, "幺"),
        "房号": _figures(3, 4, "幺"),
        "密码": _figures(4, 8),
        "尾号": _figures(2, 4),
        "时长": lambda rng: small(rng) + _one_of(_words("分钟 个小时 个半小时 天 个星期 个月 年"), rng),
        "分": _number(1, 59, counted),
        "站": small,
        "小数": _number(1, 20),
        "数": _number(1, 999),
        "大数": _large,
        "度": _number(1, 40),
        "百分": _number(1, 99),
        "折": _from(_words("九 八 七 六 五 八五 七五 九五")),
    }


class Chains(Generic[W]):
    """Words in the order in which kinds of words follow each other.

    Args:
        draws: for each kind of words, what draws one of them.
    """

    def __init__(self, draws: Mapping[str, Callable[[np.random.Generator], W]]) -> None:
        self._draws = draws
        chances = _transitions()
        tags = [tag for tag in draws if tag in chances]
        after = np.array([[chances[tag].get(other, 0.0) for other in tags] for tag in tags])  # (tags, tags)
        self._tags = {tag: place for place, tag in enumerate(tags)}
        # What comes before a word: by the same pairs, each kind of words as frequent as it is as a neighbour.
        self._bounds = {False: np.cumsum(after, axis=1), True: np.cumsum((after * after.sum(0)[:, None]).T, axis=1)}

    def around(self, word: W, room: int, rng: np.random.Generator) -> list[W]:
        """Words of so many syllables, one of them given."""
        chain = [word]
        while (left := room - sum(len(one.pinyin) for one in chain)) > 0:
            before = rng.random() < 0.5
            found = self._neighbour(chain[0 if before else -1].tag, before, left, rng)
            chain = [found, *chain] if before else [*chain, found]
        return chain

    def _neighbour(self, tag: str, before: bool, left: int, rng: np.random.Generator) -> W:
        """A word of so many syllables at most, to stand before or after one of a kind; nouns stand for rare kinds."""
        bounds = self._bounds[before][self._tags.get(tag, self._tags["n"])]
        names = list(self._tags)
        while True:
            place = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
            found = self._draws[names[min(place, len(names) - 1)]](rng)
            if len(found.pinyin) <= left:
                return found


@lru_cache(maxsize=1)
def _transitions() -> dict[str, dict[str, float]]:
    """How often each kind of words comes after each other, from the tables of jieba's tagger (MIT)."""
    found: dict[str, dict[str, float]] = {}
    for (position, tag), followers in _table().items():
        if position in "ES":  # the end of a word, or a word of one character
            for (begins, follower), chance in followers.items():
                if begins in "BS":
                    row = found.setdefault(tag, {})
                    row[follower] = row.get(follower, 0.0) + exp(chance)
    return found


def _table() -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    package = find_spec("jieba")  # jieba itself would take a second to load
    if package is None or package.origin is None:
        raise DeviceError("everyday sentences need jieba, which is not installed; run: pip install jieba")
    path = Path(package.origin).parent / "posseg" / "prob_trans.py"
    spec = spec_from_file_location("_jieba_transitions", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.P)
